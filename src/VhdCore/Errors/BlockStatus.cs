namespace VhdCore.Errors;

/// <summary>How a request on a storage or a block device ended. Guests cause these, so they are values and never exceptions.</summary>
public enum BlockStatus
{
    /// <summary>Done in full.</summary>
    Ok = 0,

    /// <summary>The range does not lie inside the device; for a storage, it ends behind the last byte.</summary>
    OutOfRange,

    /// <summary>The device was opened for reading, or became read-only after a failed flush.</summary>
    ReadOnly,

    /// <summary>The medium is full. Reads and overwrites go on.</summary>
    NoSpace,

    /// <summary>The medium failed.</summary>
    IoError,

    /// <summary>The image's tables cannot be true, found while serving a request.</summary>
    Corrupt,

    /// <summary>The medium cannot do this; nothing was changed.</summary>
    Unsupported,

    /// <summary>The request was cancelled; a write may have happened in part.</summary>
    Cancelled,

    /// <summary>The device is closed.</summary>
    Closed,
}
