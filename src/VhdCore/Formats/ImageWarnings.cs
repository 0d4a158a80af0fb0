namespace VhdCore.Formats;

/// <summary>Keeps what is odd about one image, and passes it on to whoever asked to be told.</summary>
internal sealed class ImageWarnings(string path, Action<ImageWarning>? receiver)
{
    private readonly Lock _gate = new();
    private readonly List<string> _messages = [];
    private Action<ImageWarning>? _receiver = receiver;

    /// <summary>Options under which warnings come here.</summary>
    public ImageOpenOptions Attach(ImageOpenOptions options) => options with { OnWarning = Add };

    /// <summary>Notes something about this image.</summary>
    public void Add(string message) => Add(new ImageWarning(path, message));

    /// <summary>Passes on what was noted so far and whatever follows: for an image that turned out to be wanted.</summary>
    public void ForwardTo(Action<ImageWarning>? receiver)
    {
        IReadOnlyList<string> missed;
        lock (_gate)
        {
            missed = [.. _messages];
            _receiver = receiver;
        }

        foreach (var message in missed)
        {
            receiver?.Invoke(new ImageWarning(path, message));
        }
    }

    /// <summary>So far.</summary>
    public IReadOnlyList<string> ToList()
    {
        lock (_gate)
        {
            return [.. _messages];
        }
    }

    private void Add(ImageWarning warning)
    {
        Action<ImageWarning>? current;
        lock (_gate)
        {
            _messages.Add(warning.Message);
            current = _receiver;
        }

        current?.Invoke(warning);
    }
}
