using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>A metadata item that belongs to the virtual disk and is no business of ours: a child gets a copy of its parent's ([MS-VHDX] §2.6.1.2).</summary>
/// <param name="Id">Which.</param>
/// <param name="Flags">As they stand in the parent.</param>
/// <param name="Bytes">Its content.</param>
internal sealed record VhdxDiskItem(Guid Id, uint Flags, byte[] Bytes)
{
    private const long MaxSize = 16 << 20; // bytes of all together

    // A child has these in its own right.
    private static readonly Guid[] Own =
    [
        VhdxKnownIds.FileParameters, VhdxKnownIds.VirtualDiskSize, VhdxKnownIds.VirtualDiskId, VhdxKnownIds.LogicalSectorSize, VhdxKnownIds.PhysicalSectorSize, VhdxKnownIds.ParentLocator,
    ];

    /// <summary>What a child of this image has to copy, in the image's order.</summary>
    /// <param name="parent">A VHDX that can be opened.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="ImageException">The items are too many, or cannot be read.</exception>
    public static async ValueTask<IReadOnlyList<VhdxDiskItem>> ReadAsync(IStorage parent, CancellationToken cancellationToken)
    {
        var metadata = await VhdxMetadataReader.ReadAsync(parent, new ImageOpenOptions(), cancellationToken).ConfigureAwait(false);
        var view = metadata.ViewOf(parent); // not disposed of: the storage is the caller's
        var region = metadata.MetadataRegion;
        var items = new List<VhdxDiskItem>();
        long size = 0;
        foreach (var entry in metadata.Items)
        {
            var isWhole = entry.Length == 0 || (entry.Offset >= VhdxMetadataTableView.Size && entry.Offset <= region.Length && entry.Length <= region.Length - entry.Offset);
            if (!entry.IsVirtualDisk || !isWhole || (!entry.IsUser && Own.Contains(entry.ItemId)))
            {
                continue;
            }

            size += entry.Length;
            if (size > MaxSize)
            {
                throw new UnsupportedImageException(
                    $"'{parent.Name}' has more than {MaxSize} bytes of metadata that a child must have too. Convert it to a new image first.", parent.Name, (long)region.FileOffset);
            }

            var bytes = new byte[entry.Length];
            await view.ReadExactAsync((long)region.FileOffset + entry.Offset, bytes, "a metadata item", cancellationToken).ConfigureAwait(false);
            items.Add(new VhdxDiskItem(entry.ItemId, entry.Flags, bytes));
        }

        return items;
    }
}
