using VhdCore.Primitives;

namespace VhdCore.Testing.Crash;

/// <summary>
/// Cells by index, of which copies are cheap: they share what neither has changed since. Not for several threads; copies may go to other ones as long as
/// what was copied does not change there meanwhile.
/// </summary>
/// <remarks>A cell without an array is a hole. Arrays in cells never change; copies share them.</remarks>
internal sealed class CrashCells
{
    private const int ChunkSize = 256; // cells

    private Chunk?[] _chunks = [];
    private object _owner = new(); // chunks that have another one are shared

    /// <summary>The bytes of a cell; null for a hole, and behind the last.</summary>
    public byte[]? this[int index]
    {
        get => index / ChunkSize < _chunks.Length ? _chunks[index / ChunkSize]?.Cells[index % ChunkSize] : null;
        set
        {
            var at = index / ChunkSize;
            if (at >= _chunks.Length)
            {
                if (value is null)
                {
                    return;
                }

                Array.Resize(ref _chunks, Math.Max(at + 1, _chunks.Length * 2));
            }

            if (_chunks[at] is not { } chunk || chunk.Owner != _owner)
            {
                if (_chunks[at] is null && value is null)
                {
                    return;
                }

                chunk = new Chunk(_owner, _chunks[at]);
                _chunks[at] = chunk;
            }

            chunk.Cells[index % ChunkSize] = value;
        }
    }

    /// <summary>Makes holes of all cells from one on.</summary>
    public void ClearFrom(int index)
    {
        var whole = (int)Alignment.CountOf(index, ChunkSize);
        if (whole < _chunks.Length)
        {
            _chunks.AsSpan(whole).Clear();
        }

        for (; index < whole * ChunkSize; index++)
        {
            if (this[index] is not null)
            {
                this[index] = null;
            }
        }
    }

    /// <summary>A copy of all cells.</summary>
    public CrashCells Copy()
    {
        _owner = new object(); // from now on both share everything
        return new CrashCells { _chunks = _chunks.AsSpan().ToArray() };
    }

    private sealed class Chunk
    {
        public Chunk(object owner, Chunk? content)
        {
            Owner = owner;
            content?.Cells.CopyTo(Cells, 0);
        }

        public object Owner { get; }

        public byte[]?[] Cells { get; } = new byte[]?[ChunkSize];
    }
}
