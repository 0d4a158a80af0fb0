using System.Numerics;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>
/// Writes new, empty images as Windows 10 lays them out: creator <c>win </c>, which every reader sizes by CurrentSize; parent locators and table from
/// 4096 on, each on a 4 KiB boundary, so that a torn write of the table on a 512e drive leaves the footer's copy and the header alone.
/// </summary>
/// <remarks>Whoever creates a file gives it a temporary name until this has returned: on the way the file is not an image yet.</remarks>
internal static class VhdCreator
{
    private const int ChunkSize = 1 << 20; // bytes
    private const int MaxNameLength = (VhdDynamicHeaderView.ParentUnicodeNameSize / 2) - 1; // characters
    private const long MaxFixedSize = long.MaxValue - (2 * VhdLayout.SectorSize) + 1;

    /// <summary>The size that a disk of <paramref name="size"/> bytes will have: whole sectors, or a whole geometry.</summary>
    /// <exception cref="UnsupportedImageException">No VHD is that small or large.</exception>
    public static (long Size, VhdGeometry Geometry) EffectiveSize(long size, bool chsCompatible)
    {
        if (size is <= 0 or > MaxFixedSize)
        {
            throw new UnsupportedImageException($"A VHD cannot have {size} bytes: give a size from 1 to {MaxFixedSize}.");
        }

        var rounded = Alignment.Up(size, VhdLayout.SectorSize);
        return chsCompatible ? VhdGeometryCalculator.RoundUpToGeometry(rounded) : (rounded, VhdGeometryCalculator.OfSize(rounded));
    }

    /// <summary>Writes every structure of the image and flushes.</summary>
    /// <param name="storage">Empty, or a block device whose content is given up.</param>
    /// <param name="parameters">What to create.</param>
    /// <param name="cancellationToken">Ends it early; the storage then holds no image.</param>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk; the message says what can.</exception>
    /// <exception cref="StorageException">The medium failed, or is full or too small.</exception>
    public static async ValueTask CreateAsync(IStorage storage, VhdCreateParameters parameters, CancellationToken cancellationToken)
    {
        var (size, geometry) = EffectiveSize(parameters.Size, parameters.ChsCompatible);
        var footerBytes = new byte[VhdLayout.FooterSize];
        VhdFooterWriter.Write(Footer(parameters, size, geometry), footerBytes);
        var end = parameters.Kind == ImageKind.Fixed
            ? await WriteFixedAsync(storage, size, parameters.Preallocate, cancellationToken).ConfigureAwait(false)
            : await WriteDynamicAsync(storage, size, footerBytes, parameters, cancellationToken).ConfigureAwait(false);
        await storage.WriteExactAsync(FooterOffset(storage, end), footerBytes, cancellationToken).ConfigureAwait(false);
        await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The footer of a new image.</summary>
    /// <param name="parameters">What is created.</param>
    /// <param name="size">Bytes of disk, from <see cref="EffectiveSize"/>.</param>
    /// <param name="geometry">From there too.</param>
    public static VhdFooter Footer(VhdCreateParameters parameters, long size, VhdGeometry geometry) => new()
    {
        DataOffset = parameters.Kind == ImageKind.Fixed ? ulong.MaxValue : VhdLayout.FooterSize,
        Timestamp = VhdTimestamp.From(parameters.Timestamp),
        CreatorApplication = VhdCreatorApplication.Windows,
        CreatorVersion = VhdCreatorApplication.Windows10Version,
        CreatorHostOs = VhdCreatorApplication.WindowsHostOs,
        OriginalSize = (ulong)size,
        CurrentSize = (ulong)size,
        Geometry = geometry,
        DiskType = parameters.Kind switch
        {
            ImageKind.Fixed => VhdDiskType.Fixed,
            ImageKind.Differencing => VhdDiskType.Differencing,
            _ => VhdDiskType.Dynamic,
        },
        UniqueId = parameters.UniqueId,
    };

    // A block device's footer is its last sector, wherever the data ends.
    private static long FooterOffset(IStorage storage, long dataEnd)
    {
        if (!storage.Traits.IsBlockDevice)
        {
            return dataEnd;
        }

        var last = Alignment.Down(storage.Length, VhdLayout.SectorSize) - VhdLayout.FooterSize;
        return last >= dataEnd
            ? last
            : throw new StorageException(
                $"'{storage.Name}': the device has {storage.Length} bytes, and the image needs {dataEnd + VhdLayout.FooterSize}. Take a larger device.",
                storage.Name, status: BlockStatus.NoSpace);
    }

    private static async ValueTask<long> WriteFixedAsync(IStorage storage, long size, bool preallocate, CancellationToken cancellationToken)
    {
        _ = FooterOffset(storage, size);
        if (preallocate || !storage.Traits.ExtensionReadsZeros)
        {
            if (preallocate || await storage.PunchHoleAsync(0, size, cancellationToken).ConfigureAwait(false) != BlockStatus.Ok)
            {
                await FillAsync(storage, 0, size, 0, cancellationToken).ConfigureAwait(false);
            }
        }
        else
        {
            await storage.SetLengthOrThrowAsync(size, cancellationToken).ConfigureAwait(false);
        }

        return size;
    }

    private static async ValueTask<long> WriteDynamicAsync(IStorage storage, long size, byte[] footer, VhdCreateParameters parameters, CancellationToken cancellationToken)
    {
        var locators = new List<Locator>();
        if (parameters.Kind == ImageKind.Differencing)
        {
            ArgumentNullException.ThrowIfNull(parameters.Parent, nameof(parameters));
            locators = Locators(parameters.Parent);
        }

        var tableOffset = locators.Count == 0 ? VhdLayout.DataAlignment : locators[^1].Offset + locators[^1].Space;
        var entryCount = EntryCount(size, parameters.BlockSize, storage.Name);
        var tableSize = Alignment.Up(entryCount * VhdLayout.BatEntrySize, VhdLayout.DataAlignment);
        var end = tableOffset + tableSize;
        CheckAddressable(end, entryCount, parameters.BlockSize, storage.Name);
        _ = FooterOffset(storage, end);

        var header = new VhdDynamicHeader
        {
            TableOffset = (ulong)tableOffset,
            MaxTableEntries = (uint)entryCount,
            BlockSize = (uint)parameters.BlockSize,
            ParentUniqueId = parameters.Parent?.UniqueId ?? Guid.Empty,
            ParentTimestamp = parameters.Parent?.ModificationTime is { } time ? VhdTimestamp.From(time) : 0,
            ParentUnicodeName = parameters.Parent is { } parent ? UnicodeName(parent) : "",
            ParentLocators = [.. locators.Select(locator => locator.Entry)],
        };
        var front = new byte[tableOffset];
        footer.CopyTo(front, 0);
        VhdDynamicHeaderWriter.Write(header, front.AsSpan(VhdLayout.FooterSize));
        foreach (var locator in locators)
        {
            locator.Data.CopyTo(front, locator.Offset);
        }

        await storage.WriteExactAsync(0, front, cancellationToken).ConfigureAwait(false);
        await FillAsync(storage, tableOffset, tableSize, 0xFF, cancellationToken).ConfigureAwait(false);
        return end;
    }

    /// <summary>Blocks that a dynamic or differencing disk of that size has.</summary>
    /// <exception cref="UnsupportedImageException">The block size is none, or the disk has too many bytes or blocks.</exception>
    public static long EntryCount(long size, int blockSize, string? path)
    {
        if (!BitOperations.IsPow2(blockSize) || blockSize is < VhdLayout.SectorSize or > VhdLayout.MaxBlockSize)
        {
            throw new UnsupportedImageException($"A VHD's block size is a power of two from 512 bytes to 256 MiB, not {blockSize} bytes; usual is 2 MiB.", path);
        }

        if (size > VhdLayout.MaxDynamicSize)
        {
            throw new UnsupportedImageException(
                $"A dynamic or differencing VHD holds at most 2040 GiB ({VhdLayout.MaxDynamicSize} bytes), not {size} bytes: make it fixed, or take another format.", path);
        }

        var count = Alignment.CountOf(size, blockSize);
        return count <= VhdLayout.MaxBlockCount
            ? count
            : throw new UnsupportedImageException(
                $"A disk of {size} bytes would have {count} blocks of {blockSize} bytes; at most {VhdLayout.MaxBlockCount} are handled. Take larger blocks; usual is 2 MiB.", path);
    }

    /// <summary>Refuses what the table could not address if every block were there: it counts sectors in 32 bits, and the bitmaps come on top of the disk's own bytes.</summary>
    /// <exception cref="UnsupportedImageException">The blocks are too small for so large a disk.</exception>
    public static void CheckAddressable(long tableEnd, long entryCount, int blockSize, string? path)
    {
        var slotSize = Alignment.Up(VhdLayout.BitmapSize(blockSize) + (long)blockSize, VhdLayout.DataAlignment);
        if (tableEnd + (entryCount * slotSize) > VhdLayout.UnusedEntry * (long)VhdLayout.SectorSize)
        {
            throw new UnsupportedImageException(
                $"A disk of {entryCount} blocks of {blockSize} bytes could not be filled: with the bitmaps, the file would pass the 2 TiB that the table can address. Take larger blocks; usual is 2 MiB.", path);
        }
    }

    private static List<Locator> Locators(VhdParentReference parent)
    {
        var absolute = new Locator(VhdPlatformCode.W2ku, VhdLayout.DataAlignment, VhdText.ToUtf16LittleEndian(parent.AbsolutePath));
        return [absolute, new Locator(VhdPlatformCode.W2ru, absolute.Offset + absolute.Space, VhdText.ToUtf16LittleEndian(RelativeName(parent.RelativePath)))];
    }

    private static string RelativeName(string path)
    {
        var name = path.Replace('/', '\\');
        return name.StartsWith(@".\", StringComparison.Ordinal) || name.StartsWith(@"..\", StringComparison.Ordinal) ? name : @".\" + name;
    }

    // Windows 10 writes the full path. Where paths have no drives, a name from the child's folder serves better: libvhdi and Xen Orchestra look at nothing
    // but this field, and join it to that folder.
    private static string UnicodeName(VhdParentReference parent)
    {
        var path = parent.AbsolutePath.StartsWith('/') ? parent.RelativePath : parent.AbsolutePath;
        return path.Length <= MaxNameLength ? path : path[(path.LastIndexOfAny(['/', '\\']) + 1)..];
    }

    private static async ValueTask FillAsync(IStorage storage, long offset, long length, byte value, CancellationToken cancellationToken)
    {
        var chunk = new byte[(int)Math.Min(length, ChunkSize)];
        Array.Fill(chunk, value);
        while (length > 0)
        {
            var run = (int)Math.Min(length, chunk.Length);
            await storage.WriteExactAsync(offset, chunk.AsMemory(0, run), cancellationToken).ConfigureAwait(false);
            offset += run;
            length -= run;
        }
    }

    /// <summary>A locator and its place. Space is given in bytes, as Windows does, and as libvhd understands multiples of 512.</summary>
    private sealed record Locator(uint PlatformCode, int Offset, byte[] Data)
    {
        public int Space => (int)Alignment.Up(Math.Max(Data.Length, 1), VhdLayout.DataAlignment);

        public VhdParentLocatorEntry Entry => new(PlatformCode, (uint)Space, (uint)Data.Length, (ulong)Offset);
    }
}
