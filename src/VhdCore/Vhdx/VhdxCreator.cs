using System.Buffers.Binary;
using System.Numerics;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhdx;

/// <summary>
/// Writes new, empty images as Hyper-V lays them out: the log at 1 MiB, the metadata behind it, then the BAT, then the blocks, all on the MiB grid.
/// </summary>
/// <remarks>Whoever creates a file gives it a temporary name until this has returned: on the way the file is not an image yet.</remarks>
internal static class VhdxCreator
{
    private const string Creator = "VhdKit";
    private const int UsualDynamicBlockSize = 32 << 20; // bytes, as Hyper-V
    private const int UsualDifferencingBlockSize = 2 << 20; // bytes, as Hyper-V
    private const int WriteSize = 1 << 20; // bytes of BAT written at a time

    /// <summary>Writes every structure of the image and flushes.</summary>
    /// <param name="storage">Empty.</param>
    /// <param name="parameters">What to create.</param>
    /// <param name="cancellationToken">Ends it early; the storage then holds no image.</param>
    /// <exception cref="UnsupportedImageException">The format cannot hold such a disk; the message says what can.</exception>
    /// <exception cref="StorageException">The medium failed or is full.</exception>
    public static async ValueTask CreateAsync(IStorage storage, VhdxCreateParameters parameters, CancellationToken cancellationToken)
    {
        Judge(parameters, storage.Name);
        var bat = Layout(parameters);
        var logOffset = (long)VhdxLayout.HeaderSectionSize;
        var metadataOffset = logOffset + parameters.LogLength;
        var metadata = VhdxMetadataWriter.Metadata(parameters);
        var metadataLength = Alignment.Up(metadata.Length, VhdxLayout.OneMiB);
        var batOffset = metadataOffset + metadataLength;
        var batLength = BatLength(bat);
        var dataOffset = batOffset + batLength;
        var end = dataOffset + (parameters.Kind == ImageKind.Fixed ? bat.PayloadBlockCount * parameters.BlockSize : 0);

        await storage.SetLengthOrThrowAsync(end, cancellationToken).ConfigureAwait(false);
        await storage.WriteExactAsync(metadataOffset, metadata, cancellationToken).ConfigureAwait(false);
        if (parameters.Kind == ImageKind.Fixed)
        {
            await WriteFixedBatAsync(storage, bat, batOffset, dataOffset, parameters.BlockSize, cancellationToken).ConfigureAwait(false);
            if (parameters.Preallocate)
            {
                await WriteZerosAsync(storage, dataOffset, end, cancellationToken).ConfigureAwait(false);
            }
        }

        var regions = new byte[VhdxRegionTableView.Size];
        VhdxMetadataWriter.WriteRegionTable(regions, batOffset, (uint)batLength, metadataOffset, (uint)metadataLength);
        await storage.WriteExactAsync(VhdxLayout.FirstRegionTableOffset, regions, cancellationToken).ConfigureAwait(false);
        await storage.WriteExactAsync(VhdxLayout.SecondRegionTableOffset, regions, cancellationToken).ConfigureAwait(false);
        await WriteHeadersAsync(storage, parameters, logOffset, cancellationToken).ConfigureAwait(false);

        var identifier = new byte[VhdxFileTypeIdentifierView.Size];
        VhdxMetadataWriter.WriteFileTypeIdentifier(identifier, Creator);
        await storage.WriteExactAsync(0, identifier, cancellationToken).ConfigureAwait(false);
        await storage.FlushOrThrowAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Bytes in a block where nobody asks for another size.</summary>
    public static int UsualBlockSize(ImageKind kind) => kind == ImageKind.Differencing ? UsualDifferencingBlockSize : UsualDynamicBlockSize;

    /// <summary>Bytes of an image with so many blocks allocated.</summary>
    public static long FileSize(VhdxCreateParameters parameters, long allocatedBlocks) => DataOffset(parameters) + (allocatedBlocks * parameters.BlockSize);

    /// <summary>Blocks that the disk has.</summary>
    public static long BlockCount(VhdxCreateParameters parameters) => Layout(parameters).PayloadBlockCount;

    /// <summary>Refuses what the format cannot hold.</summary>
    /// <exception cref="UnsupportedImageException">It cannot; the message says what can.</exception>
    public static void Judge(VhdxCreateParameters parameters, string? path)
    {
        if (!BitOperations.IsPow2(parameters.BlockSize) || parameters.BlockSize is < VhdxLayout.MinBlockSize or > VhdxLayout.MaxBlockSize)
        {
            throw new UnsupportedImageException($"A VHDX cannot have blocks of {parameters.BlockSize} bytes: give a power of two from 1M to 256M.", path);
        }

        if (parameters.LogicalSectorSize is not (512 or 4096) || parameters.PhysicalSectorSize is not (512 or 4096))
        {
            throw new UnsupportedImageException(
                $"A VHDX cannot have logical sectors of {parameters.LogicalSectorSize} bytes on physical ones of {parameters.PhysicalSectorSize}: give 512 or 4096 for each.", path);
        }

        if (parameters.Size <= 0 || (ulong)parameters.Size > VhdxLayout.MaxDiskSize || parameters.Size % parameters.LogicalSectorSize != 0)
        {
            throw new UnsupportedImageException(
                $"A VHDX cannot have {parameters.Size} bytes: give a size up to 64T that is a multiple of the logical sector, {parameters.LogicalSectorSize} bytes.", path);
        }

        if (parameters.LogLength is <= 0 or > VhdxLayout.MaxLogLength || parameters.LogLength % VhdxLayout.OneMiB != 0)
        {
            throw new UnsupportedImageException($"A VHDX cannot have a log of {parameters.LogLength} bytes: give a multiple of 1M up to 1G.", path);
        }
    }

    private static VhdxBatLayout Layout(VhdxCreateParameters parameters) =>
        new(parameters.Size, parameters.BlockSize, parameters.LogicalSectorSize, parameters.Kind == ImageKind.Differencing);

    private static long BatLength(VhdxBatLayout bat) => Alignment.Up(bat.EntryCount * VhdxLayout.BatEntrySize, VhdxLayout.OneMiB);

    private static long DataOffset(VhdxCreateParameters parameters) =>
        VhdxLayout.HeaderSectionSize + parameters.LogLength + VhdxLayout.OneMiB + BatLength(Layout(parameters)); // without a parent the metadata take no more

    private static async ValueTask WriteHeadersAsync(IStorage storage, VhdxCreateParameters parameters, long logOffset, CancellationToken cancellationToken)
    {
        var header = new VhdxHeader
        {
            SequenceNumber = 1,
            FileWriteGuid = parameters.FileWriteGuid,
            DataWriteGuid = parameters.DataWriteGuid,
            Version = 1,
            LogLength = (uint)parameters.LogLength,
            LogOffset = (ulong)logOffset,
        };
        var bytes = new byte[VhdxHeaderView.Size];
        VhdxHeaderWriter.Write(bytes, header);
        await storage.WriteExactAsync(VhdxLayout.FirstHeaderOffset, bytes, cancellationToken).ConfigureAwait(false);
        VhdxHeaderWriter.Write(bytes, header with { SequenceNumber = 2 });
        await storage.WriteExactAsync(VhdxLayout.SecondHeaderOffset, bytes, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask WriteFixedBatAsync(
        IStorage storage, VhdxBatLayout bat, long batOffset, long dataOffset, uint blockSize, CancellationToken cancellationToken)
    {
        var bytes = new byte[WriteSize];
        const int EntriesPerWrite = WriteSize / VhdxLayout.BatEntrySize;
        for (long first = 0; first < bat.EntryCount; first += EntriesPerWrite)
        {
            bytes.AsSpan().Clear();
            var count = (int)Math.Min(EntriesPerWrite, bat.EntryCount - first);
            for (var i = 0; i < count; i++)
            {
                if (bat.IsPayload(first + i, out var block))
                {
                    var entry = (ulong)(dataOffset + (block * blockSize)) | (ulong)PayloadBlockState.FullyPresent;
                    BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * VhdxLayout.BatEntrySize), entry);
                }
            }

            await storage.WriteExactAsync(batOffset + (first * VhdxLayout.BatEntrySize), bytes.AsMemory(0, count * VhdxLayout.BatEntrySize), cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask WriteZerosAsync(IStorage storage, long offset, long end, CancellationToken cancellationToken)
    {
        var zeros = new byte[WriteSize];
        for (; offset < end; offset += WriteSize)
        {
            await storage.WriteExactAsync(offset, zeros.AsMemory(0, (int)Math.Min(WriteSize, end - offset)), cancellationToken).ConfigureAwait(false);
        }
    }
}
