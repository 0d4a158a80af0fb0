using System.Numerics;
using VhdCore.Devices;
using VhdService.Scsi.Wire;

namespace VhdService.Scsi;

/// <summary>A disk in logical blocks, and what of it one command may touch.</summary>
internal sealed class DiskGeometry
{
    /// <summary>Bytes that one UNMAP may name.</summary>
    private const long MaxUnmapBytes = 1L << 30;

    /// <summary>Bytes that one WRITE SAME may cover.</summary>
    private const long MaxWriteSameBytes = 64L << 20;

    private readonly IBlockDevice _device;

    public DiskGeometry(IBlockDevice device, int maxTransferBytes)
    {
        _device = device;
        BlockSize = device.Info.LogicalSectorSize;
        MaxTransferBytes = maxTransferBytes;
        var perPhysical = Math.Max(1, device.Info.PhysicalSectorSize / BlockSize);
        PhysicalExponent = BitOperations.Log2((uint)perPhysical);
        Limits = new DiskLimits
        {
            OptimalGranularity = (ushort)perPhysical,
            MaxTransfer = (uint)(maxTransferBytes / BlockSize),
            MaxUnmap = (uint)(MaxUnmapBytes / BlockSize),
            MaxUnmapDescriptors = UnmapList.MaxDescriptors,
            UnmapGranularity = (uint)Math.Clamp(device.Info.PreferredTrimSize / BlockSize, 1, MaxUnmapBytes / BlockSize),
            MaxWriteSame = (ulong)(MaxWriteSameBytes / BlockSize),
        };
    }

    /// <summary>Bytes in a logical block.</summary>
    public int BlockSize { get; }

    /// <summary>Logical blocks in a physical one, as a power of two.</summary>
    public int PhysicalExponent { get; }

    /// <summary>The most that one command moves, in bytes.</summary>
    public int MaxTransferBytes { get; }

    /// <summary>What the block limits page says.</summary>
    public DiskLimits Limits { get; }

    /// <summary>Logical blocks now.</summary>
    public ulong BlockCount => (ulong)(_device.Length / BlockSize);

    /// <summary>The bytes that a command means; false where they do not lie on the disk.</summary>
    public bool TryGetRange(in CdbView cdb, out long offset, out long length) => TryGetRange(cdb.Lba, cdb.BlockCount, out offset, out length);

    /// <inheritdoc cref="TryGetRange(in CdbView, out long, out long)"/>
    public bool TryGetRange(ulong lba, uint count, out long offset, out long length)
    {
        var blocks = BlockCount;
        if (lba > blocks || count > blocks - lba)
        {
            offset = length = 0;
            return false;
        }

        offset = (long)lba * BlockSize;
        length = (long)count * BlockSize;
        return true;
    }

    /// <summary>Whether a READ, a WRITE or a VERIFY with data may go ahead.</summary>
    /// <returns>Why not; no sense when it may.</returns>
    public ScsiSense JudgeTransfer(ScsiRequest request, ScsiDirection direction, out long offset, out long length)
    {
        var cdb = request.Cdb;
        if (!TryGetRange(cdb, out offset, out length))
        {
            return ScsiSense.LbaOutOfRange;
        }

        return cdb.AsksForProtection || length > MaxTransferBytes || (length > 0 && request.Direction != direction)
            ? ScsiSense.InvalidFieldInCdb
            : ScsiSense.None;
    }
}
