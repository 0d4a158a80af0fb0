using System.Text;
using VhdCore.Errors;
using VhdCore.Formats;

namespace VhdCore.Chains;

/// <summary>One search for a parent: what was tried, what became of it, and how to tell when nothing did.</summary>
/// <param name="child">Whose parent is looked for.</param>
/// <param name="root">The folder that it must lie below, for the message; null for anywhere.</param>
internal sealed class ParentSearch(IdentifiedImage child, string? root)
{
    private readonly StringBuilder _tried = new();
    private readonly HashSet<string> _places = new(StringComparer.Ordinal); // canonical
    private int _existing;
    private bool _hasOutside;
    private bool _hasCycle;
    private ImageException? _unusable;

    /// <summary>Whose parent is looked for.</summary>
    public IdentifiedImage Child { get; } = child;

    /// <summary>What the child says of it.</summary>
    public ParentReference Reference { get; } = child.Parent!;

    /// <summary>What keeps an image from being the parent, in a sentence.</summary>
    public string DescribeId(IdentifiedImage image) =>
        image.Format == Reference.Format && image.Identity is { } id ? $"its identifier is {id}" : $"it is no {Reference.FormatName}";

    /// <summary>No other name has led there yet.</summary>
    public bool IsFirst(string canonical) => _places.Add(canonical);

    public void NoteMissing(string candidate) => Note(candidate, "does not exist");

    public void NoteMoved(string candidate) => Note(candidate, "changed its place while it was opened");

    public void NoteOutside(string candidate)
    {
        _hasOutside = true;
        Note(candidate, $"lies outside '{root}'");
    }

    public void NoteCycle(string candidate)
    {
        _hasCycle = true;
        Note(candidate, "is in the chain already");
    }

    public void NoteMismatch(string candidate, IdentifiedImage image)
    {
        _existing++;
        Note(candidate, $"exists, but {DescribeId(image)}");
    }

    public void NoteUnusable(string candidate, ImageException exception)
    {
        _existing++;
        _unusable ??= exception;
        Note(candidate, $"cannot be used: {exception.Message}");
    }

    /// <summary>Why there is no parent.</summary>
    public ImageException Failure()
    {
        // The only file there is has a better explanation than this search.
        if (_existing == 1 && _unusable is not null)
        {
            return _unusable;
        }

        var path = Child.Storage.Name;
        var tried = _tried.Length == 0 ? "\n  nothing: the image gives no name that could be a file's" : _tried.ToString();
        if (_existing > 0)
        {
            return new ParentMismatchException(
                $"'{path}' was made from a parent with the identifier {Reference.IdText}, and no file that its names lead to is that one. Tried:{tried}\n" +
                "Put the right parent beside the image. If one of these is known to be right, --ignore-parent-id takes the first.",
                path, Reference.IdOffset, _unusable);
        }

        var locators = Reference.NamesOffset;
        if (_hasCycle)
        {
            return new ParentMismatchException(
                $"'{path}' has itself or an image above it for a parent: the chain is a circle. Tried:{tried}\nPut {Reference.Description} beside the image.", path, locators);
        }

        return new ParentMismatchException(
            $"'{path}' holds only what differs from a parent ({Reference.Description}), and the parent was not found. Tried:{tried}\n" +
            (_hasOutside ? $"Parents may lie only below '{root}': move it there, or allow its folder." : "Put the parent beside the image, under one of these names."),
            path, locators);
    }

    private void Note(string candidate, string outcome) => _tried.Append($"\n  '{ParentNames.Printable(candidate)}' {outcome}");
}
