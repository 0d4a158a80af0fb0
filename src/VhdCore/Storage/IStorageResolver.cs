using VhdCore.Errors;

namespace VhdCore.Storage;

/// <summary>The only way from a name to a storage. Names are this resolver's own: paths for files.</summary>
public interface IStorageResolver
{
    /// <summary>Opens or creates a storage.</summary>
    /// <exception cref="StorageException">It does not exist, exists already, is no file, or may not be opened; the message says which.</exception>
    /// <exception cref="ImageInUseException">A lock that another process holds excludes this use.</exception>
    ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options, CancellationToken cancellationToken = default);

    /// <summary>Whether a storage of that name can be seen. Never throws for a name that cannot exist.</summary>
    bool Exists(string name);

    /// <summary>Removes a name. Nothing happens where there is none.</summary>
    void Delete(string name);

    /// <summary>One spelling per storage, for comparing names and for showing them; symbolic links followed where there are some.</summary>
    string Canonicalize(string name);

    /// <summary>The name that <paramref name="relativeName"/> means beside the storage <paramref name="baseName"/>; an absolute name stays as it is.</summary>
    string Combine(string baseName, string relativeName);
}

/// <summary>What a storage is opened for.</summary>
public enum StorageAccess
{
    /// <summary>Reading.</summary>
    Read,

    /// <summary>Reading and writing.</summary>
    ReadWrite,
}

/// <summary>Which locks are taken.</summary>
public enum StorageSharing
{
    /// <summary>A reader excludes writers, a writer excludes writers and readers that mind: QEMU's own scheme.</summary>
    Default,

    /// <summary>Reading only: goes ahead although another process writes (qemu-img's -U). What is read may be torn.</summary>
    Force,
}

/// <summary>How to open a storage.</summary>
public sealed record StorageOpenOptions
{
    /// <summary>For reading, sharing by default.</summary>
    public static StorageOpenOptions ForReading { get; } = new();

    /// <summary>For writing what exists.</summary>
    public static StorageOpenOptions ForWriting { get; } = new() { Access = StorageAccess.ReadWrite };

    /// <summary>A new storage; fails where one exists.</summary>
    public static StorageOpenOptions ForCreating { get; } = new() { Access = StorageAccess.ReadWrite, CreateNew = true };

    /// <summary>What it is opened for.</summary>
    public StorageAccess Access { get; init; }

    /// <summary>Create it, empty, and fail where one exists.</summary>
    public bool CreateNew { get; init; }

    /// <summary>Which locks are taken.</summary>
    public StorageSharing Sharing { get; init; }

    /// <summary>How requests reach the medium. A resolver that knows of no such choice ignores it.</summary>
    public IoSettings Io { get; init; } = IoSettings.Default;

    /// <summary>
    /// Of what is created: the name that it will take later. It gets the permissions of what has that name now, before there is a byte in it, and what killed processes
    /// left behind on their way to the name is removed. A resolver that knows of neither ignores it.
    /// </summary>
    internal string? TemporaryFor { get; init; }

    /// <summary>For tests: an engine of their own.</summary>
    internal IoEngine? OwnEngine { get; init; }
}
