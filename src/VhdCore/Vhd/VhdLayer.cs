using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>A VHD that is open for reading.</summary>
internal sealed class VhdLayer : IImageLayer
{
    private readonly VhdBlockTable _table;

    private VhdLayer(IStorage storage, VhdMetadata metadata, VhdBlockTable table)
    {
        Storage = storage;
        Length = metadata.VirtualSize;
        _table = table;
    }

    public IStorage Storage { get; }

    public long Length { get; }

    public int LogicalSectorSize => VhdLayout.SectorSize;

    public long BlockSize => _table.BlockSize;

    public bool HasParent => _table.IsDifferencing;

    /// <summary>Opens an image whose metadata was read and judged. The storage is owned by the layer once this returns.</summary>
    /// <exception cref="ImageException">The block allocation table cannot be true, or cannot be read.</exception>
    public static async ValueTask<IImageLayer> OpenAsync(
        IStorage storage, VhdMetadata metadata, ImageOpenOptions options, CancellationToken cancellationToken = default)
    {
        if (metadata.Kind == ImageKind.Fixed)
        {
            return new FlatLayer(storage, metadata.VirtualSize);
        }

        var table = await VhdBlockTable.LoadAsync(
            storage, metadata, metadata.DataEnd(storage.Length), options.TableCacheBytes, isWritable: false, cancellationToken).ConfigureAwait(false);
        return new VhdLayer(storage, metadata, table);
    }

    public DiskExtent Resolve(long diskOffset, long length) => _table.Resolve(diskOffset, length);

    public ValueTask<BlockStatus> LoadAsync(long diskOffset, CancellationToken cancellationToken) => _table.LoadBitmapAsync(diskOffset, cancellationToken);

    public ValueTask DisposeAsync() => Storage.DisposeAsync();
}
