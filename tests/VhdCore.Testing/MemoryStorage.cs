using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Testing;

/// <summary>A storage in memory. Sparse: terabytes of length cost nothing.</summary>
public sealed class MemoryStorage : IStorage
{
    private readonly MemoryFile _file;
    private readonly MemoryStorageResolver? _resolver;
    private readonly StorageOpenOptions _options;
    private volatile bool _closed;

    /// <summary>A storage of its own, open for writing, that no resolver knows.</summary>
    /// <param name="name">For messages.</param>
    /// <param name="traits">What it is able to do; null is a file that can do everything.</param>
    public MemoryStorage(string name = "/memory", StorageTraits? traits = null)
        : this(name, new MemoryFile { HasWriter = true }, null, StorageOpenOptions.ForWriting, traits, canPunch: true)
    {
    }

    internal MemoryStorage(string name, MemoryFile file, MemoryStorageResolver? resolver, StorageOpenOptions options, StorageTraits? traits, bool canPunch)
    {
        Name = name;
        _file = file;
        _resolver = resolver;
        _options = options;
        CanPunch = canPunch;
        Traits = (traits ?? new StorageTraits()) with
        {
            CanWrite = options.Access == StorageAccess.ReadWrite && (traits?.CanWrite ?? true),
            AllocatedBytes = () =>
            {
                lock (file.Gate)
                {
                    return file.Content.AllocatedBytes;
                }
            },
        };
    }

    /// <inheritdoc/>
    public string Name { get; private set; }

    /// <inheritdoc/>
    public StorageTraits Traits { get; }

    /// <summary>Whether <see cref="PunchHoleAsync"/> works, or answers Unsupported.</summary>
    public bool CanPunch { get; set; }

    /// <summary>Whether <see cref="TryRead"/> finds everything at hand, or never anything.</summary>
    public bool ReadsAtOnce { get; set; } = true;

    /// <inheritdoc/>
    public long Length
    {
        get
        {
            lock (_file.Gate)
            {
                return _file.Content.Length;
            }
        }
    }

    /// <summary>All bytes.</summary>
    public byte[] ToArray() => _file.ToArray();

    /// <summary>Makes <paramref name="content"/> everything this storage holds.</summary>
    public void Replace(ReadOnlySpan<byte> content) => _file.Replace(content);

    /// <inheritdoc/>
    public long TryRead(long offset, BlockBuffers into, long start, long length)
    {
        if (_closed || !ReadsAtOnce || offset < 0 || !IsAligned(offset, length))
        {
            return 0;
        }

        lock (_file.Gate)
        {
            var moved = Math.Max(0, Math.Min(length, _file.Content.Length - offset));
            _file.Content.Read(offset, into, start, moved);
            return moved;
        }
    }

    /// <inheritdoc/>
    public ValueTask<BlockStatus> ReadAsync(long offset, BlockBuffers into, long start, long length, CancellationToken cancellationToken = default)
    {
        if (Refusal(offset, length, writes: false, cancellationToken) is { } refusal)
        {
            return new(refusal);
        }

        lock (_file.Gate)
        {
            if (offset > _file.Content.Length || length > _file.Content.Length - offset)
            {
                return new(BlockStatus.OutOfRange);
            }

            _file.Content.Read(offset, into, start, length);
            return new(BlockStatus.Ok);
        }
    }

    /// <inheritdoc/>
    public ValueTask<BlockStatus> WriteAsync(long offset, BlockBuffers from, long start, long length, WriteFlags flags = WriteFlags.None, CancellationToken cancellationToken = default)
    {
        if (Refusal(offset, length, writes: true, cancellationToken) is { } refusal)
        {
            return new(refusal);
        }

        lock (_file.Gate)
        {
            if (Traits.IsBlockDevice && (offset > _file.Content.Length || length > _file.Content.Length - offset))
            {
                return new(BlockStatus.NoSpace);
            }

            if (length > 0)
            {
                _file.Content.Write(offset, from, start, length);
            }

            return new(BlockStatus.Ok);
        }
    }

    /// <inheritdoc/>
    public ValueTask<BlockStatus> FlushAsync(CancellationToken cancellationToken = default) =>
        new(Refusal(0, 0, writes: false, cancellationToken) ?? BlockStatus.Ok);

    /// <inheritdoc/>
    public ValueTask<BlockStatus> SetLengthAsync(long length, CancellationToken cancellationToken = default)
    {
        if (Refusal(0, length, writes: true, cancellationToken) is { } refusal)
        {
            return new(refusal);
        }

        lock (_file.Gate)
        {
            if (Traits.IsBlockDevice && length != _file.Content.Length)
            {
                return new(BlockStatus.Unsupported);
            }

            _file.Content.SetLength(length);
            return new(BlockStatus.Ok);
        }
    }

    /// <inheritdoc/>
    public ValueTask<BlockStatus> PunchHoleAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        if (Refusal(offset, length, writes: true, cancellationToken) is { } refusal)
        {
            return new(refusal);
        }

        lock (_file.Gate)
        {
            if (offset > _file.Content.Length || length > _file.Content.Length - offset)
            {
                return new(BlockStatus.OutOfRange);
            }

            if (!CanPunch)
            {
                return new(BlockStatus.Unsupported);
            }

            _file.Content.Punch(offset, length);
            return new(BlockStatus.Ok);
        }
    }

    /// <inheritdoc/>
    public StorageRun Map(long offset, long length)
    {
        lock (_file.Gate)
        {
            var end = _file.Content.Length;
            if (offset < 0 || offset >= end || length < 1 || length > end - offset)
            {
                throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} do not lie inside {end} bytes.");
            }

            var (isHole, run) = _file.Content.Map(offset, length);
            return new StorageRun(isHole, run);
        }
    }

    /// <inheritdoc/>
    public ValueTask<BlockStatus> RenameAsync(string newName, CancellationToken cancellationToken = default)
    {
        if (Refusal(0, 0, writes: true, cancellationToken) is { } refusal)
        {
            return new(refusal);
        }

        if (_resolver is null)
        {
            return new(BlockStatus.Unsupported);
        }

        Name = _resolver.Rename(Name, newName, _file);
        return new(BlockStatus.Ok);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            MemoryStorageResolver.Release(_file, _options);
        }

        return default;
    }

    private BlockStatus? Refusal(long offset, long length, bool writes, CancellationToken cancellationToken)
    {
        if (_closed)
        {
            return BlockStatus.Closed;
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return BlockStatus.Cancelled;
        }

        if (writes && !Traits.CanWrite)
        {
            return BlockStatus.ReadOnly;
        }

        if (offset < 0 || length < 0 || length > long.MaxValue - offset - SparseBytes.PageSize)
        {
            return BlockStatus.OutOfRange;
        }

        return IsAligned(offset, length) ? null : BlockStatus.IoError; // what a kernel's EINVAL becomes
    }

    private bool IsAligned(long offset, long length) => ((offset | length) & (Traits.Alignment - 1)) == 0;
}
