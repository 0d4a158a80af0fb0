using System.Diagnostics;

namespace VhdCore.Vhdx;

/// <summary>
/// Where in the log's ring the next entry goes, and which entries are still needed ([MS-VHDX] "Log"). Pure: it writes nothing. Positions and counts are
/// in log sectors of 4 KiB.
/// </summary>
/// <remarks>
/// An entry is needed until its pages have been written in place and a later flush has ended. Its space may be overwritten only once an entry with a tail
/// behind it is itself durable: until then a reader after a power cut still starts at the old tail. So an advance of the tail pays off one entry later,
/// and entries are kept to a third of the ring.
/// </remarks>
internal sealed class VhdxLogRing
{
    private readonly int _sectorCount;
    private readonly LinkedList<Entry> _entries = new(); // oldest first; all that a durable tail may still begin with
    private int _head; // where the next entry goes

    /// <param name="sectorCount">Sectors in the log.</param>
    /// <param name="firstSequenceNumber">Of the first entry; above zero.</param>
    public VhdxLogRing(int sectorCount, ulong firstSequenceNumber)
    {
        _sectorCount = sectorCount;
        NextSequenceNumber = firstSequenceNumber;
    }

    /// <summary>The number of the next entry.</summary>
    public ulong NextSequenceNumber { get; private set; }

    /// <summary>Sectors that the next entry may take, leaving one for an empty entry that moves the tail.</summary>
    public int FreeSectorCount => Free() - 1;

    /// <summary>Whether an empty entry written now would make all of the ring before it free, once durable: nothing older is needed.</summary>
    public bool IsIdle => _entries.All(entry => entry.IsDone);

    /// <summary>Places an entry.</summary>
    /// <param name="sectorCount">Its length.</param>
    /// <param name="isEmpty">It has no pages, so nothing has to be written in place for it.</param>
    /// <exception cref="InvalidOperationException">There is no room: ask <see cref="FreeSectorCount"/> first; an empty one may take the reserve.</exception>
    public Entry Append(int sectorCount, bool isEmpty)
    {
        if (sectorCount > (isEmpty ? Free() : FreeSectorCount))
        {
            throw new InvalidOperationException($"An entry of {sectorCount} sectors does not fit into the log: {Free()} are free.");
        }

        var needed = _entries.FirstOrDefault(entry => !entry.IsDone);
        var entry = new Entry(_head, sectorCount, needed?.Position ?? _head, NextSequenceNumber++) { IsDone = isEmpty };
        _entries.AddLast(entry);
        _head = (_head + sectorCount) % _sectorCount;
        return entry;
    }

    /// <summary>A flush has ended that began after the entry's bytes, or its pages' bytes in place, were written.</summary>
    /// <param name="sequenceNumber">All entries up to this one are in the log durably.</param>
    public void MadeDurable(ulong sequenceNumber)
    {
        Entry? last = null;
        foreach (var entry in _entries)
        {
            if (entry.SequenceNumber <= sequenceNumber)
            {
                entry.IsDurable = true;
                last = entry;
            }
        }

        // Whoever opens the log now begins at the tail of the last durable entry; what lies before it is free.
        while (last is not null && _entries.First!.Value is var first && first.SequenceNumber != last.SequenceNumber && first.Position != last.Tail)
        {
            Debug.Assert(first.IsDone);
            _entries.RemoveFirst();
        }
    }

    /// <summary>A flush has ended that began after all pages of the entries up to this one were written in place.</summary>
    public void AppliedDurably(ulong sequenceNumber)
    {
        foreach (var entry in _entries.Where(entry => entry.SequenceNumber <= sequenceNumber))
        {
            entry.IsDone = true;
        }
    }

    private int Free()
    {
        if (_entries.First is null)
        {
            return _sectorCount;
        }

        var used = (_head - _entries.First.Value.Position + _sectorCount) % _sectorCount;
        return used == 0 ? 0 : _sectorCount - used; // entries are there, so an empty distance is a full ring
    }

    /// <summary>An entry's place.</summary>
    /// <param name="Position">First sector.</param>
    /// <param name="SectorCount">Sectors; they wrap round the ring's end.</param>
    /// <param name="Tail">Position of the oldest entry that a replay from this one needs.</param>
    /// <param name="SequenceNumber">Its number.</param>
    internal sealed record Entry(int Position, int SectorCount, int Tail, ulong SequenceNumber)
    {
        /// <summary>In the log durably.</summary>
        public bool IsDurable { get; set; }

        /// <summary>Its pages are in their places durably: nobody needs it.</summary>
        public bool IsDone { get; set; }
    }
}
