using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Tests.Storage;

namespace VhdCore.Tests.Conformance;

/// <summary>A dynamic VHD in a file, through a ring.</summary>
public sealed class RingVhdConformance : EngineConformance
{
    protected override IoSettings Io => Engines.Ring;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd, BlockSize = 16384 };
}

/// <summary>A differencing VHD over a dynamic one, direct, through a ring.</summary>
public sealed class DirectRingVhdConformance : EngineConformance
{
    protected override int Depth => 2;

    protected override IoSettings Io => Engines.DirectRing;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd, BlockSize = 16384 };
}

/// <summary>A dynamic VHDX, direct, through a ring.</summary>
public sealed class DirectRingVhdxConformance : EngineConformance
{
    protected override IoSettings Io => Engines.DirectRing;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx };
}

/// <summary>A differencing VHDX, direct, through a ring, completed on the thread pool.</summary>
public sealed class DirectRingToPoolVhdxConformance : EngineConformance
{
    protected override int Depth => 2;

    protected override IoSettings Io => Engines.DirectRingToPool;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx };
}

/// <summary>A dynamic VHD, direct, by threads that wait.</summary>
public sealed class DirectThreadsVhdConformance : EngineConformance
{
    protected override IoSettings Io => Engines.DirectThreads;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhd, BlockSize = 8192 };
}

/// <summary>A differencing VHDX, cached, by threads that wait.</summary>
public sealed class ThreadsVhdxConformance : EngineConformance
{
    protected override int Depth => 2;

    protected override IoSettings Io => Engines.Threads;

    protected override ImageCreateOptions Options => new() { Format = ImageFormat.Vhdx };
}

/// <summary>Images in real files, over an engine.</summary>
public abstract class EngineConformance : ImageConformance, IDisposable
{
    private readonly List<TempFolder> _folders = [];

    /// <summary>The way to the medium.</summary>
    protected abstract IoSettings Io { get; }

    public void Dispose()
    {
        _folders.ForEach(folder => folder.Dispose());
        GC.SuppressFinalize(this);
    }

    protected override IStorageResolver CreateResolver()
    {
        var folder = new TempFolder();
        _folders.Add(folder);
        return new FolderResolver(folder.Path, Engines.Require(Io));
    }
}
