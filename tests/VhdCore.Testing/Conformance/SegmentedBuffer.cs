using System.Runtime.InteropServices;
using VhdCore.Primitives;

namespace VhdCore.Testing.Conformance;

/// <summary>A request's memory in pieces, some of them empty, at odd addresses.</summary>
internal sealed class SegmentedBuffer : IDisposable
{
    private readonly NativeBuffer[] _pieces;
    private readonly NativeBuffer _list;

    private SegmentedBuffer(IReadOnlyList<int> lengths, Random random)
    {
        _pieces = [.. lengths.Select(length => new NativeBuffer(length, skew: random.Next(4096)))];
        Length = lengths.Sum();
        _list = new NativeBuffer(lengths.Count * 2 * nint.Size);
        var segments = MemoryMarshal.Cast<byte, IoVec>(_list.Span);
        for (var i = 0; i < _pieces.Length; i++)
        {
            segments[i] = new IoVec(_pieces[i].Address, _pieces[i].Length);
        }
    }

    public long Length { get; }

    public BlockBuffers Buffers => BlockBuffers.List(_list.Address, _pieces.Length, Length);

    /// <summary>Pieces of any size, together <paramref name="length"/> bytes where that is given.</summary>
    public static SegmentedBuffer CreateRandom(Random random, int maxSegmentCount, long? length = null)
    {
        var lengths = Enumerable.Range(0, random.Next(1, maxSegmentCount + 1)).Select(_ => random.Next(4) switch
        {
            0 => 0,
            1 => random.Next(1, 600),
            2 => 512 * random.Next(1, 5),
            _ => random.Next(1, 9000),
        }).ToList();
        if (length is { } wanted)
        {
            for (var i = 0; i < lengths.Count; i++)
            {
                lengths[i] = (int)Math.Min(lengths[i], wanted - lengths.Take(i).Sum());
            }

            lengths.Add((int)(wanted - lengths.Sum()));
        }

        return new SegmentedBuffer(lengths, random);
    }

    public void FillRandom(Random random)
    {
        foreach (var piece in _pieces)
        {
            random.NextBytes(piece.Span);
        }
    }

    public byte[] ToArray() => [.. _pieces.SelectMany(piece => piece.Span.ToArray())];

    public void Dispose()
    {
        foreach (var piece in _pieces)
        {
            piece.Dispose();
        }

        _list.Dispose();
    }
}
