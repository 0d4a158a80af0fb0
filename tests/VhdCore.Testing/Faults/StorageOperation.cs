namespace VhdCore.Testing.Faults;

/// <summary>What a storage is asked.</summary>
public enum StorageOperation
{
    /// <summary>A read, at once or awaited.</summary>
    Read,

    /// <summary>A write.</summary>
    Write,

    /// <summary>A write that makes the storage longer; counted as a write too.</summary>
    Extend,

    /// <summary>A flush.</summary>
    Flush,

    /// <summary>A change of length.</summary>
    SetLength,

    /// <summary>A punched hole.</summary>
    Punch,

    /// <summary>A new name.</summary>
    Rename,
}
