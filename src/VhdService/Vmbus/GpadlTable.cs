using VhdService.HyperV;
using VhdService.Vmbus.Wire;

namespace VhdService.Vmbus;

/// <summary>The lists that a guest shares, by their ids. Used on the bus's worker alone.</summary>
internal sealed class GpadlTable(IGuestMemory memory, GuestLog log)
{
    private readonly Dictionary<uint, Gpadl> _gpadls = [];
    private int _words;

    public int Count => _gpadls.Count;

    /// <summary>The complete list with an id, or null.</summary>
    public Gpadl? Find(uint id) => _gpadls.TryGetValue(id, out var gpadl) && gpadl.IsComplete ? gpadl : null;

    /// <summary>Begins a list.</summary>
    /// <returns>The status to answer with, or null while more is to come.</returns>
    public uint? Begin(in GpadlHeaderView header)
    {
        var wordCount = header.RangeBufferLength / 8;
        if (_gpadls.ContainsKey(header.Gpadl)
            || header.RangeCount is 0 or > VmbusLimits.RangesPerGpadl
            || header.RangeBufferLength % 8 != 0
            || wordCount is 0 or > VmbusLimits.WordsPerGpadl)
        {
            log.Write($"GPADL 0x{header.Gpadl:X} is refused: {header.RangeCount} ranges in {header.RangeBufferLength} bytes, or an id in use.");
            return HostMessages.InvalidParameter;
        }

        if (_gpadls.Count == VmbusLimits.Gpadls || wordCount > VmbusLimits.GpadlWords - _words)
        {
            log.Write($"GPADL 0x{header.Gpadl:X} is refused: there are {_gpadls.Count} with {_words} words already.");
            return HostMessages.InsufficientResources;
        }

        var gpadl = new Gpadl(header.Gpadl, header.Relid, header.RangeCount, wordCount);
        _gpadls.Add(gpadl.Id, gpadl);
        _words += gpadl.WordCount;
        return Append(gpadl, header.Ranges);
    }

    /// <summary>Goes on with a list.</summary>
    /// <param name="body">The message.</param>
    /// <param name="gpadl">The list, or null when there is none that waits for more.</param>
    /// <returns>The status to answer with, or null while more is to come.</returns>
    public uint? Continue(in GpadlBodyView body, out Gpadl? gpadl)
    {
        if (!_gpadls.TryGetValue(body.Gpadl, out gpadl) || gpadl.IsComplete)
        {
            log.Write($"More of GPADL 0x{body.Gpadl:X}, which does not wait for more.");
            gpadl = null;
            return null;
        }

        return Append(gpadl, body.Ranges);
    }

    public void Remove(Gpadl gpadl)
    {
        if (_gpadls.Remove(gpadl.Id))
        {
            _words -= gpadl.WordCount;
        }
    }

    /// <summary>Drops the lists of a channel that is gone.</summary>
    public void RemoveOf(uint relid)
    {
        foreach (var gpadl in _gpadls.Values.Where(gpadl => gpadl.Relid == relid && !gpadl.IsInUse).ToArray())
        {
            Remove(gpadl);
        }
    }

    public void Clear()
    {
        _gpadls.Clear();
        _words = 0;
    }

    private uint? Append(Gpadl gpadl, ReadOnlySpan<byte> bytes)
    {
        if (!gpadl.TryAppend(bytes) || (gpadl.IsComplete && !gpadl.TryFinish(memory)))
        {
            log.Write($"GPADL 0x{gpadl.Id:X} is refused: its ranges do not fill it, or are not memory.");
            Remove(gpadl);
            return HostMessages.InvalidParameter;
        }

        return gpadl.IsComplete ? HostMessages.Success : null;
    }
}
