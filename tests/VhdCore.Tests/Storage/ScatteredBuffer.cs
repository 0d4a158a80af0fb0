using System.Runtime.InteropServices;
using VhdCore.Primitives;

namespace VhdCore.Tests.Storage;

/// <summary>Native memory in runs of given lengths, zeroed, with a byte between each so that a run too long is seen.</summary>
internal sealed unsafe class ScatteredBuffer : IDisposable
{
    private const byte Guard = 0xEE;

    private readonly byte* _memory;
    private readonly IoVec* _list;
    private readonly int _count;

    public ScatteredBuffer(IReadOnlyList<int> lengths)
    {
        _count = lengths.Count;
        Length = lengths.Sum();
        _memory = (byte*)NativeMemory.AllocZeroed((nuint)(Length + _count));
        _list = (IoVec*)NativeMemory.AllocZeroed((nuint)_count, (nuint)sizeof(IoVec));
        var next = _memory;
        for (var i = 0; i < _count; i++)
        {
            _list[i] = new IoVec((nint)next, lengths[i]);
            next += lengths[i];
            *next++ = Guard;
        }
    }

    public int Length { get; }

    public BlockBuffers Buffers => BlockBuffers.List((nint)_list, _count, Length);

    public byte[] ToArray()
    {
        for (var i = 0; i < _count; i++)
        {
            // Safety: each run is followed by its guard.
            Assert.Equal(Guard, ((byte*)_list[i].Address)[_list[i].Length]);
        }

        var all = new byte[Length];
        Buffers.CopyTo(0, all);
        return all;
    }

    public void Dispose()
    {
        // Safety: both were allocated by the constructor; tests dispose once.
        NativeMemory.Free(_memory);
        NativeMemory.Free(_list);
    }
}
