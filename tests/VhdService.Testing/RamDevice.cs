using System.Runtime.InteropServices;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdService.Testing;

/// <summary>A disk in memory, whose requests end at once, when a world gets round to it, or when the test lets them.</summary>
internal sealed unsafe class RamDevice : IBlockDevice
{
    private const int MaxSegments = 300;

    private readonly Lock _lock = new();
    private readonly List<Action> _held = [];
    private readonly long _capacity;
    private byte* _memory;

    public RamDevice(long length, int sectorSize = 512)
    {
        _capacity = length * 2; // room to grow
        Length = length;
        _memory = (byte*)NativeMemory.AllocZeroed((nuint)_capacity);
        Info = new BlockDeviceInfo { Name = "ram", LogicalSectorSize = sectorSize, PhysicalSectorSize = 4096, PreferredTrimSize = 1 << 20 };
    }

    public event Action<long>? Resized;

    public BlockDeviceInfo Info { get; init; }

    public long Length { get; private set; }

    /// <summary>Where requests that do not end at once go to.</summary>
    public PumpedWorld? World { get; init; }

    /// <summary>Requests wait for <see cref="Release"/>.</summary>
    public bool Holds { get; set; }

    /// <summary>Decides about a read or write before it happens.</summary>
    public Func<long, long, BlockStatus>? Fault { get; set; }

    public int HeldCount
    {
        get
        {
            lock (_lock)
            {
                return _held.Count;
            }
        }
    }

    public int FlushCount { get; private set; }

    public int FuaCount { get; private set; }

    public Span<byte> Content => new(_memory, (int)Length);

    public void Resize(long length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _capacity);
        Length = length;
        Resized?.Invoke(length);
    }

    /// <summary>Lets held requests end, the last one first.</summary>
    public void Release(int count = int.MaxValue)
    {
        for (; count > 0; count--)
        {
            Action work;
            lock (_lock)
            {
                if (_held.Count == 0)
                {
                    return;
                }

                work = _held[^1];
                _held.RemoveAt(_held.Count - 1);
            }

            work();
        }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) =>
        World is null && !Holds ? new(Read(offset, into)) : ReadLater(offset, into);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        FuaCount += flags == WriteFlags.Fua ? 1 : 0;
        return World is null && !Holds ? new(Write(offset, from)) : WriteLater(offset, from);
    }

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default)
    {
        FlushCount++;
        return World is null && !Holds ? new(BlockStatus.Ok) : Later(() => BlockStatus.Ok);
    }

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default) => ZeroAsync(offset, length, WriteFlags.None, cancellationToken);

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        if (!IsInside(offset, length))
        {
            return new(BlockStatus.OutOfRange);
        }

        Content.Slice((int)offset, (int)length).Clear();
        return new(BlockStatus.Ok);
    }

    public ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        new(new BlockRun(BlockStatus.Ok, offset, length, 0, IsPresent: true, IsZero: false, offset));

    public ValueTask DisposeAsync()
    {
        NativeMemory.Free(_memory);
        _memory = null;
        return ValueTask.CompletedTask;
    }

    private bool IsInside(long offset, long length) => offset >= 0 && length >= 0 && offset <= Length && length <= Length - offset;

    private BlockStatus Read(long offset, BlockBuffers into)
    {
        if (!IsInside(offset, into.Length))
        {
            return BlockStatus.OutOfRange;
        }

        var status = Fault?.Invoke(offset, into.Length) ?? BlockStatus.Ok;
        if (status == BlockStatus.Ok)
        {
            Span<IoVec> segments = stackalloc IoVec[MaxSegments];
            var (count, length) = into.Describe(0, into.Length, segments);
            var from = _memory + offset;
            foreach (var segment in segments[..count])
            {
                new ReadOnlySpan<byte>(from, (int)segment.Length).CopyTo(new Span<byte>((void*)segment.Address, (int)segment.Length));
                from += segment.Length;
            }

            into.CopyFrom(length, new ReadOnlySpan<byte>(from, (int)(into.Length - length)));
        }

        return status;
    }

    private BlockStatus Write(long offset, BlockBuffers from)
    {
        if (!IsInside(offset, from.Length))
        {
            return BlockStatus.OutOfRange;
        }

        var status = Fault?.Invoke(offset, from.Length) ?? BlockStatus.Ok;
        if (status == BlockStatus.Ok)
        {
            from.CopyTo(0, new Span<byte>(_memory + offset, (int)from.Length));
        }

        return status;
    }

    // Apart from the others, because a lambda's capture is made where its method begins.
    private ValueTask<BlockStatus> ReadLater(long offset, BlockBuffers into) => Later(() => Read(offset, into));

    private ValueTask<BlockStatus> WriteLater(long offset, BlockBuffers from) => Later(() => Write(offset, from));

    private ValueTask<BlockStatus> Later(Func<BlockStatus> work)
    {
        var end = new TaskCompletionSource<BlockStatus>();
        Action action = () => end.SetResult(work());
        if (Holds)
        {
            lock (_lock)
            {
                _held.Add(action);
            }
        }
        else
        {
            World!.Post(action);
        }

        return new(end.Task);
    }
}
