namespace VhdCore.Vhdx;

/// <summary>A log entry whose checksum, signatures and sequence numbers are right ([MS-VHDX] §2.3.1).</summary>
/// <param name="LogPosition">Bytes from the log's start to the entry.</param>
/// <param name="Length">Bytes, a multiple of 4 KiB; an entry may run over the log's end and go on at its start.</param>
/// <param name="Tail">Bytes from the log's start to the first entry of the sequence that this one ends.</param>
/// <param name="SequenceNumber">One more than the entry's before it.</param>
/// <param name="DescriptorCount">Updates in the entry; may be zero.</param>
/// <param name="FlushedFileOffset">Bytes that the file had for certain when the entry was written.</param>
/// <param name="LastFileOffset">Bytes that hold all structures.</param>
internal readonly record struct VhdxLogEntry(
    long LogPosition, uint Length, uint Tail, ulong SequenceNumber, uint DescriptorCount, ulong FlushedFileOffset, ulong LastFileOffset)
{
    private const int DescriptorsInFirstSector = (VhdxLayout.LogSectorSize - VhdxLogEntryHeaderView.Size) / VhdxLogDescriptorView.Size;
    private const int DescriptorsPerSector = VhdxLayout.LogSectorSize / VhdxLogDescriptorView.Size;

    /// <summary>4 KiB sectors that a number of descriptors take, with the entry's header before the first.</summary>
    public static long DescriptorSectors(uint descriptorCount) => descriptorCount <= DescriptorsInFirstSector
        ? 1
        : 1 + (((descriptorCount - DescriptorsInFirstSector) + DescriptorsPerSector - 1L) / DescriptorsPerSector);

    /// <summary>Where the descriptors of one of an entry's descriptor sectors begin, in bytes, and how many there are.</summary>
    public static (int Start, int Count) DescriptorsIn(long sector, uint descriptorCount)
    {
        if (sector == 0)
        {
            return (VhdxLogEntryHeaderView.Size, (int)Math.Min(descriptorCount, DescriptorsInFirstSector));
        }

        var before = DescriptorsInFirstSector + ((sector - 1) * DescriptorsPerSector);
        return (0, (int)Math.Min(descriptorCount - before, DescriptorsPerSector));
    }
}
