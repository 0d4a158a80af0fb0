using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Testing.Crash;

/// <summary>A storage in a <see cref="CrashWorld"/>.</summary>
internal sealed class CrashStorage(CrashWorld world, CrashFile file, string name, StorageOpenOptions options) : IStorage
{
    private readonly int _generation = file.Generation;
    private bool _closed;

    public string Name { get; private set; } = name;

    public StorageTraits Traits { get; } = new() { CanWrite = options.Access == StorageAccess.ReadWrite };

    public long Length => file.Length;

    private bool IsGone => _closed || _generation != file.Generation;

    public long TryRead(long offset, BlockBuffers into, long start, long length)
    {
        if (IsGone || offset < 0 || !world.ReadsAtOnce)
        {
            return 0;
        }

        lock (world.Gate)
        {
            var moved = Math.Max(0, Math.Min(length, file.Length - offset));
            file.Read(offset, into, start, moved);
            return moved;
        }
    }

    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default) =>
        InTurnAsync(() =>
        {
            if (!IsInside(offset, length))
            {
                return BlockStatus.OutOfRange;
            }

            file.Read(offset, into, start, length);
            return BlockStatus.Ok;
        }, cancellationToken);

    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default) =>
        InTurnAsync(() =>
        {
            if (Refusal(offset, length) is { } refusal)
            {
                return refusal;
            }

            var operation = world.NextOperation();
            file.Write(operation, offset, from, start, world.LandingLength(offset, length));
            if ((flags & WriteFlags.Fua) != 0)
            {
                world.Tell(new CrashStep(CrashStepKind.Write, Name, offset, length));
                if (IsGone)
                {
                    return BlockStatus.Closed;
                }

                file.MakeDurable(operation, offset, length);
            }

            world.Tell(new CrashStep(CrashStepKind.Write, Name, offset, length));
            return IsGone ? BlockStatus.Closed : BlockStatus.Ok;
        }, cancellationToken);

    public async ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default)
    {
        long upTo = 0;
        var status = await InTurnAsync(() =>
        {
            world.Tell(new CrashStep(CrashStepKind.FlushStarting, Name, 0, 0));
            upTo = world.LastOperation;
            return IsGone ? BlockStatus.Closed : BlockStatus.Ok;
        }, cancellationToken);

        // What is written between these two turns is not covered.
        return status != BlockStatus.Ok ? status : await InTurnAsync(() =>
        {
            if (IsGone)
            {
                return BlockStatus.Closed;
            }

            if (world.FailsFlush(file))
            {
                return BlockStatus.IoError;
            }

            file.Flush(upTo);
            world.Tell(new CrashStep(CrashStepKind.Flushed, Name, 0, 0));
            return BlockStatus.Ok;
        }, CancellationToken.None);
    }

    public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default) =>
        InTurnAsync(() =>
        {
            if (Refusal(0, length) is { } refusal)
            {
                return refusal;
            }

            file.SetLength(world.NextOperation(), length);
            world.Tell(new CrashStep(CrashStepKind.SetLength, Name, length, 0));
            return BlockStatus.Ok;
        }, cancellationToken);

    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        InTurnAsync(() =>
        {
            if (Refusal(offset, length) is { } refusal)
            {
                return refusal;
            }

            if (!IsInside(offset, length))
            {
                return BlockStatus.OutOfRange;
            }

            if (!world.CanPunch)
            {
                return BlockStatus.Unsupported;
            }

            file.Punch(world.NextOperation(), offset, length);
            world.Tell(new CrashStep(CrashStepKind.Punch, Name, offset, length));
            return BlockStatus.Ok;
        }, cancellationToken);

    public StorageRun Map(long offset, long length)
    {
        lock (world.Gate)
        {
            if (offset < 0 || length < 1 || offset >= file.Length || length > file.Length - offset)
            {
                throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} do not lie inside {file.Length} bytes.");
            }

            var isHole = file.Cell((int)(offset / CrashFile.CellSize)) is null;
            var end = ((offset / CrashFile.CellSize) + 1) * CrashFile.CellSize;
            while (end < offset + length && file.Cell((int)(end / CrashFile.CellSize)) is null == isHole)
            {
                end += CrashFile.CellSize;
            }

            return new StorageRun(isHole, Math.Min(length, end - offset));
        }
    }

    public async ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default)
    {
        var status = await FlushAsync(cancellationToken);
        if (status != BlockStatus.Ok)
        {
            return status;
        }

        status = await InTurnAsync(() =>
        {
            if (Refusal(0, 0) is { } refusal)
            {
                return refusal;
            }

            Name = world.Rename(Name, newName, file);
            return BlockStatus.Ok;
        }, CancellationToken.None);
        return status != BlockStatus.Ok ? status : await InTurnAsync(() =>
        {
            world.FlushNames();
            return BlockStatus.Ok;
        }, CancellationToken.None);
    }

    public ValueTask DisposeAsync()
    {
        if (!IsGone)
        {
            world.Release(file, options);
        }

        _closed = true;
        return default;
    }

    private bool IsInside(long offset, long length) => offset >= 0 && length >= 0 && offset <= file.Length && length <= file.Length - offset;

    private BlockStatus? Refusal(long offset, long length)
    {
        if (IsGone)
        {
            return BlockStatus.Closed;
        }

        if (!Traits.CanWrite)
        {
            return BlockStatus.ReadOnly;
        }

        return offset < 0 || length < 0 || length > long.MaxValue - offset ? BlockStatus.OutOfRange : null;
    }

    private ValueTask<BlockStatus> InTurnAsync(Func<BlockStatus> happen, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return new(BlockStatus.Cancelled);
        }

        if (world.Scheduler is { } scheduler)
        {
            return WaitAsync(scheduler);
        }

        lock (world.Gate)
        {
            return new(IsGone ? BlockStatus.Closed : happen());
        }

        async ValueTask<BlockStatus> WaitAsync(StepScheduler scheduler)
        {
            await scheduler.TurnAsync();
            BlockStatus status;
            lock (world.Gate)
            {
                status = IsGone ? BlockStatus.Closed : happen();
            }

            if (world.CompletesLate)
            {
                await scheduler.TurnAsync();
            }

            return status;
        }
    }
}
