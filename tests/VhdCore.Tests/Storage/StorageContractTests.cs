using VhdCore.Storage;
using VhdCore.Testing;

namespace VhdCore.Tests.Storage;

/// <summary>Files by our own system calls where there are some, else by .NET's.</summary>
public sealed class NativeFileStorageContractTests() : FileStorageContract(usePortablePath: false);

/// <summary>Files by .NET's calls.</summary>
public sealed class PortableFileStorageContractTests() : FileStorageContract(usePortablePath: true)
{
    protected override bool ForcedReadersPassWriters => OperatingSystem.IsWindows();
}

/// <summary>Files by .NET's asynchronous calls: overlapped on Windows.</summary>
public sealed class OverlappedFileStorageContractTests() : FileStorageContract(usePortablePath: true)
{
    protected override bool ForcedReadersPassWriters => OperatingSystem.IsWindows();

    protected override IoSettings Io => Engines.Threads;
}

public sealed class BatchFileStorageContractTests() : FileStorageContract(usePortablePath: false)
{
    protected override IoSettings Io => IoSettings.Batch;
}

public sealed class RingFileStorageContractTests() : FileStorageContract(usePortablePath: false)
{
    protected override IoSettings Io => Engines.Require(Engines.Ring);
}

public sealed class DirectRingFileStorageContractTests() : FileStorageContract(usePortablePath: false)
{
    protected override IoSettings Io => Engines.Require(Engines.DirectRing);
}

public sealed class DirectRingToPoolFileStorageContractTests() : FileStorageContract(usePortablePath: false)
{
    protected override IoSettings Io => Engines.Require(Engines.DirectRingToPool);
}

public sealed class ThreadsFileStorageContractTests() : FileStorageContract(usePortablePath: false)
{
    protected override IoSettings Io => Engines.Threads;
}

public sealed class DirectThreadsFileStorageContractTests() : FileStorageContract(usePortablePath: false)
{
    protected override IoSettings Io => Engines.DirectThreads;
}

public sealed class DirectCallerFileStorageContractTests() : FileStorageContract(usePortablePath: false)
{
    protected override IoSettings Io => Engines.DirectCaller;
}

/// <summary>Files through the resolver, as the library opens them.</summary>
public sealed class ResolvedFileStorageContractTests : FileStorageContract
{
    private readonly FileStorageResolver _resolver = new();

    public ResolvedFileStorageContractTests()
        : base(usePortablePath: false)
    {
    }

    protected override ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options) => _resolver.OpenAsync(name, options);
}

/// <summary>The tests' own storage keeps the contract that it stands in for.</summary>
public sealed class MemoryStorageContractTests : StorageContract
{
    private readonly MemoryStorageResolver _resolver = new();

    protected override ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options) => _resolver.OpenAsync(name, options);

    protected override string NameOf(string name) => "/" + name;
}

public abstract class FileStorageContract(bool usePortablePath) : StorageContract, IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose()
    {
        Dispose(isDisposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool isDisposing) => _folder.Dispose();

    /// <summary>How requests reach the medium.</summary>
    protected virtual IoSettings Io => IoSettings.Default;

    protected override ValueTask<IStorage> OpenAsync(string name, StorageOpenOptions options) => new(FileStorage.Open(name, options with { Io = Io }, usePortablePath));

    protected override string NameOf(string name) => _folder[name];
}
