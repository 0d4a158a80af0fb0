using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;

namespace VhdService.Tests.Scsi;

/// <summary>A disk in an array that logs what is asked of it, fails where a test says so, and answers at once or later.</summary>
internal sealed class ScsiTestDevice(int length, int logicalSectorSize = 512, int physicalSectorSize = 4096, bool isReadOnly = false) : IBlockDevice
{
    private readonly List<TaskCompletionSource> _held = [];

    public byte[] Content { get; private set; } = new byte[length];

    /// <summary>What was asked, in order: "write 0+512 fua".</summary>
    public List<string> Log { get; } = [];

    /// <summary>What a request answers instead of being done, by its kind, offset and length.</summary>
    public Func<string, long, long, BlockStatus>? Fail { get; set; }

    /// <summary>Requests wait for <see cref="LetGo"/>.</summary>
    public bool Holds { get; set; }

    public BlockDeviceInfo Info { get; } = new()
    {
        Name = "test",
        IsReadOnly = isReadOnly,
        LogicalSectorSize = logicalSectorSize,
        PhysicalSectorSize = physicalSectorSize,
        PreferredTrimSize = 1 << 20,
    };

    public long Length => Content.Length;

    public event Action<long>? Resized;

    public void Resize(int newLength)
    {
        var content = Content;
        Array.Resize(ref content, newLength);
        Content = content;
        Resized?.Invoke(newLength);
    }

    public void LetGo()
    {
        var held = _held.ToArray();
        _held.Clear();
        foreach (var source in held)
        {
            source.SetResult();
        }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, CancellationToken cancellationToken = default) =>
        Do("read", offset, into.Length, () => into.CopyFrom(0, Content.AsSpan((int)offset, (int)into.Length)));

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        Do("write", offset, from.Length, () => from.CopyTo(0, Content.AsSpan((int)offset, (int)from.Length)), flags);

    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) => Do("flush", 0, 0, () => { });

    public ValueTask<BlockStatus> TrimAsync(long offset, long length, CancellationToken cancellationToken = default) => Do("trim", offset, length, () => { });

    public ValueTask<BlockStatus> ZeroAsync(long offset, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        Do("zero", offset, length, () => Content.AsSpan((int)offset, (int)length).Clear(), flags);

    public ValueTask<BlockRun> MapAsync(long offset, long length, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private ValueTask<BlockStatus> Do(string what, long offset, long length, Action action, WriteFlags flags = WriteFlags.None)
    {
        Log.Add(what == "flush" ? what : $"{what} {offset}+{length}{(flags == WriteFlags.Fua ? " fua" : "")}");
        if (Holds)
        {
            var source = new TaskCompletionSource();
            _held.Add(source);
            return Later(source.Task);
        }

        return ValueTask.FromResult(Answer());

        BlockStatus Answer()
        {
            if (offset < 0 || offset > Length || length > Length - offset)
            {
                return BlockStatus.OutOfRange;
            }

            var status = Fail?.Invoke(what, offset, length) ?? BlockStatus.Ok;
            if (status == BlockStatus.Ok)
            {
                action();
            }

            return status;
        }

        async ValueTask<BlockStatus> Later(Task held)
        {
            await held;
            return Answer();
        }
    }
}
