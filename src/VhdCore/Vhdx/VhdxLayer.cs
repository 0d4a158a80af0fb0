using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>A VHDX that is open for reading: fixed, dynamic or differencing.</summary>
internal sealed class VhdxLayer : IImageLayer
{
    private readonly VhdxBlockTable _table;

    private VhdxLayer(IStorage view, VhdxMetadata metadata, VhdxBlockTable table)
    {
        Storage = view;
        Length = metadata.VirtualSize;
        LogicalSectorSize = metadata.LogicalSectorSize;
        HasParent = metadata.HasParent;
        _table = table;
    }

    /// <summary>The file as it is after its log's replay.</summary>
    public IStorage Storage { get; }

    public long Length { get; }

    public int LogicalSectorSize { get; }

    public long BlockSize => _table.BlockSize;

    public bool HasParent { get; }

    /// <summary>Bytes of memory that table pages take now.</summary>
    public long CacheSize => _table.CacheSize;

    /// <summary>Opens an image whose metadata was read and judged; its tables are read when they are needed. The storage is owned by the layer from here on.</summary>
    public static VhdxLayer Open(IStorage storage, VhdxMetadata metadata, ImageOpenOptions options)
    {
        var view = metadata.ViewOf(storage);
        return new VhdxLayer(view, metadata, new VhdxBlockTable(view, metadata, view.Length, options.TableCacheBytes, mayChange: false));
    }

    public DiskExtent Resolve(long diskOffset, long length) => _table.Resolve(diskOffset, length);

    public ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken) => _table.LoadAsync(diskOffset, cancellationToken);

    public ValueTask DisposeAsync() => Storage.DisposeAsync();
}
