using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdCore.Tests.Operations;

/// <summary>A disk in an array, with a map by grains that a test sets, and a log of what was asked of it.</summary>
internal sealed class ArrayDevice(byte[] content, string name = "array", int mapGrain = 512) : IBlockDevice
{
    private readonly Lock _lock = new();

    public byte[] Content { get; } = content;

    /// <summary>Grains that the map knows to be zero.</summary>
    public HashSet<long> ZeroGrains { get; } = [];

    /// <summary>Grains that nothing has ever held; a subset of the zero ones.</summary>
    public HashSet<long> AbsentGrains { get; } = [];

    /// <summary>Where and how requests fail.</summary>
    public Func<string, long, long, BlockStatus>? Fail { get; set; }

    public List<(string What, long Offset, long Length)> Log { get; } = [];

    public BlockDeviceInfo Info { get; } = new() { Name = name };

    public long Length => Content.Length;

    public event Action<long>? Resized
    {
        add { }
        remove { }
    }

    /// <summary>Zeroes a range in content and map.</summary>
    public ArrayDevice WithZeros(long offset, long length)
    {
        Content.AsSpan((int)offset, (int)length).Clear();
        for (var grain = offset / mapGrain; grain < (offset + length) / mapGrain; grain++)
        {
            ZeroGrains.Add(grain);
        }

        return this;
    }

    public async ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default)
    {
        var status = Note("read", offset, into.Length);
        if (status == BlockStatus.Ok)
        {
            await Task.Yield(); // lets workers overtake each other
            into.CopyFrom(0, Content.AsSpan((int)offset, (int)into.Length));
        }

        return status;
    }

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        var status = Note("write", offset, from.Length);
        if (status == BlockStatus.Ok)
        {
            from.CopyTo(0, Content.AsSpan((int)offset, (int)from.Length));
        }

        return ValueTask.FromResult(status);
    }

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult(Note("flush", 0, 0));

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Note("trim", offset, length));

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        var status = Note("zero", offset, length);
        if (status == BlockStatus.Ok)
        {
            Content.AsSpan((int)offset, (int)length).Clear();
        }

        return ValueTask.FromResult(status);
    }

    public ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        var status = Fail?.Invoke("map", offset, length) ?? BlockStatus.Ok;
        var grain = offset / mapGrain;
        var isZero = ZeroGrains.Contains(grain);
        var isPresent = !AbsentGrains.Contains(grain);
        var end = grain + 1;
        while (end * mapGrain < offset + length && end % 97 != 0 && ZeroGrains.Contains(end) == isZero && !AbsentGrains.Contains(end) == isPresent)
        {
            end++; // a run is cut at every 97th grain, as a device may
        }

        var run = Math.Min((end * mapGrain) - offset, length);
        return ValueTask.FromResult(new BlockRun(status, offset, run, 0, isPresent, isZero, isZero ? -1 : offset));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private BlockStatus Note(string what, long offset, long length)
    {
        lock (_lock)
        {
            Log.Add((what, offset, length));
        }

        return offset > Length || length > Length - offset ? BlockStatus.OutOfRange : Fail?.Invoke(what, offset, length) ?? BlockStatus.Ok;
    }
}
