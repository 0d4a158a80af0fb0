namespace VhdService.Scsi;

/// <summary>What a guest is told about a disk beside what the disk itself says.</summary>
public sealed record ScsiDiskOptions
{
    /// <summary>The disk's identity, from which its serial number (VPD page 80h) and its name (page 83h) are made. Unique among a machine's disks, and the same in every life of it.</summary>
    public Guid Id { get; init; } = Guid.NewGuid();

    /// <summary>Told to be a solid-state medium (VPD page B1h): Linux then does not sort requests.</summary>
    public bool IsSolidState { get; init; } = true;
}
