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
    private int _guessed;
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

    /// <summary>Places are guessed now that the child does not name. Those without a file are counted and not listed.</summary>
    public bool IsWide { get; set; }

    public void NoteMissing(string candidate) => NoteNothing(candidate, "does not exist");

    public void NoteMoved(string candidate) => Note(candidate, "changed its place while it was opened");

    public void NoteOutside(string candidate)
    {
        _hasOutside |= !IsWide;
        NoteNothing(candidate, $"lies outside '{root}'");
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

        if (_guessed > 0)
        {
            _tried.Append($"\n  and in {_guessed} more places, below the folders above the image{(root is null ? "" : $" and below '{ParentNames.Printable(root)}'")}");
        }

        var path = Child.Storage.Name;
        var tried = _tried.Length == 0 ? "\n  nothing: the image gives no name that could be a file's" : _tried.ToString();
        if (_existing > 0)
        {
            return new ParentMismatchException(
                $"'{path}' was made from a parent with the identifier {Reference.IdText}, and no file that its names lead to is that one. Tried:{tried}\n" +
                (Reference.Format == ImageFormat.Vhdx ? "A VHDX gets a new identifier when its content changes: a parent that was written to since the child was made no longer fits, and only a copy from before does. " : "") +
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

    private void NoteNothing(string candidate, string outcome)
    {
        if (IsWide)
        {
            _guessed++;
        }
        else
        {
            Note(candidate, outcome);
        }
    }

    private void Note(string candidate, string outcome) => _tried.Append($"\n  '{ParentNames.Printable(candidate)}' {outcome}");
}
