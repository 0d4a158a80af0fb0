namespace VhdCore.Vhdx;

/// <summary>One update that a log's active sequence makes to the file.</summary>
/// <param name="FileOffset">Bytes from the file's start to what is updated; a multiple of 4 KiB.</param>
/// <param name="Length">Bytes: 4 KiB for data, any multiple of it for zeros.</param>
/// <param name="SourceOffset">Bytes from the file's start to the data sector that holds the content; -1 for zeros.</param>
/// <param name="LeadingBytes">The content's first eight bytes, which the data sector does not hold.</param>
/// <param name="TrailingBytes">The content's last four bytes, likewise.</param>
internal readonly record struct VhdxLogUpdate(long FileOffset, long Length, long SourceOffset, ulong LeadingBytes, uint TrailingBytes)
{
    public bool IsZero => SourceOffset < 0;

    public long End => FileOffset + Length;
}
