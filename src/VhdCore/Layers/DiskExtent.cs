namespace VhdCore.Layers;

/// <summary>Where the bytes of a run are.</summary>
internal enum ExtentKind : byte
{
    /// <summary>In this layer's storage, from <see cref="DiskExtent.StorageOffset"/> on.</summary>
    Data,

    /// <summary>They are zeros.</summary>
    Zero,

    /// <summary>In the parent, at the same disk offset; zeros behind the parent's end.</summary>
    Parent,

    /// <summary>Not known before a page of a table has been read: await <see cref="IImageLayer.LoadAsync"/>, then ask again.</summary>
    NotLoaded,

    /// <summary>The table is not possible: status Corrupt.</summary>
    Corrupt,
}

/// <summary>The first run at an offset.</summary>
/// <param name="Kind">Where.</param>
/// <param name="Length">Bytes of disk in the run; at least 1.</param>
/// <param name="StorageOffset">Bytes from the storage's start, for data.</param>
/// <param name="IsAllocated">The layer's own table answers: data, an explicit zero, or a sector of an allocated block. False where it has no entry.</param>
internal readonly record struct DiskExtent(ExtentKind Kind, long Length, long StorageOffset, bool IsAllocated);

/// <summary>What a write has to do first, or may do at once.</summary>
internal enum WriteExtentKind : byte
{
    /// <summary>Write at <see cref="WriteExtent.StorageOffset"/>, then <see cref="IWritableLayer.Complete"/>.</summary>
    Ready,

    /// <summary>Await <see cref="IImageLayer.LoadAsync"/>, then ask again.</summary>
    NotLoaded,

    /// <summary>Await <see cref="IWritableLayer.ReserveAsync"/>, then ask again.</summary>
    NeedsSpace,

    /// <summary>Changed table pages have reached their bound: await a commit, then ask again.</summary>
    NeedsCommit,

    /// <summary>The table is not possible.</summary>
    Corrupt,
}

/// <summary>The first run that a write may take.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="Length">Bytes of disk in the run; at least 1.</param>
/// <param name="StorageOffset">Bytes from the storage's start.</param>
/// <param name="IsPresent">Every sector the run touches holds its own content here already, so part of a sector may be written. Otherwise only whole sectors.</param>
/// <param name="Token">The layer's own, for <see cref="IWritableLayer.Complete"/>.</param>
internal readonly record struct WriteExtent(WriteExtentKind Kind, long Length, long StorageOffset, bool IsPresent, object? Token);

/// <summary>What releasing a run came to.</summary>
internal enum ReleaseKind : byte
{
    /// <summary>Done: the run reads as zeros from now on, or did already.</summary>
    Released,

    /// <summary>Punch <see cref="ReleaseExtent.StorageOffset"/> out of the storage: the run then reads as zeros.</summary>
    Punch,

    /// <summary>The tables cannot express it: to zero it, zeros must be written; a trim leaves it alone.</summary>
    Keep,

    /// <summary>Await <see cref="IImageLayer.LoadAsync"/>, then ask again.</summary>
    NotLoaded,

    /// <summary>Await <see cref="IWritableLayer.ReserveAsync"/> for no blocks, then ask again.</summary>
    NeedsReserve,

    /// <summary>Await a commit, then ask again.</summary>
    NeedsCommit,
}

/// <summary>The first run of a trim or zero.</summary>
/// <param name="Kind">What it came to.</param>
/// <param name="Length">Bytes of disk in the run; at least 1.</param>
/// <param name="StorageOffset">Bytes from the storage's start, for <see cref="ReleaseKind.Punch"/>.</param>
internal readonly record struct ReleaseExtent(ReleaseKind Kind, long Length, long StorageOffset);
