namespace VhdCore.Formats;

/// <summary>A format that is known by its first bytes but not read here: telling it apart keeps its tables from being taken for a disk's content.</summary>
/// <param name="Name">With its article, for a message.</param>
/// <param name="NextStep">What to do instead, a sentence.</param>
internal sealed record ForeignFormat(string Name, string NextStep)
{
    private const int TarMagicOffset = 257; // bytes
    private const int VdiSignatureOffset = 64; // bytes

    private const string ConvertFirst = "Convert it first, such as by 'qemu-img convert -O raw'.";
    private const string DecompressFirst = "Decompress it first.";

    /// <summary>The format that begins with <paramref name="front"/>, or null.</summary>
    public static ForeignFormat? Recognize(ReadOnlySpan<byte> front)
    {
        if (front.StartsWith((ReadOnlySpan<byte>)[0x51, 0x46, 0x49, 0xFB]))
        {
            return new("a QCOW2 image", ConvertFirst);
        }

        if (front.StartsWith("KDMV"u8) || front.StartsWith("COWD"u8) || front.StartsWith("# Disk DescriptorFile"u8))
        {
            return new("a VMDK image", ConvertFirst);
        }

        if (front.Length >= VdiSignatureOffset + 4 && front[VdiSignatureOffset..].StartsWith((ReadOnlySpan<byte>)[0x7F, 0x10, 0xDA, 0xBE]))
        {
            return new("a VDI image", ConvertFirst);
        }

        if (front.StartsWith("QED\0"u8))
        {
            return new("a QED image", ConvertFirst);
        }

        if (front.StartsWith("WithoutFreeSpace"u8) || front.StartsWith("WithouFreSpacExt"u8))
        {
            return new("a Parallels image", ConvertFirst);
        }

        if (front.Length >= TarMagicOffset + 5 && front[TarMagicOffset..].StartsWith("ustar"u8))
        {
            return front.StartsWith("ova.xml\0"u8)
                ? new("an XVA export", "Import it, or unpack it with tar and join its disk's chunks.")
                : new("a tar archive", "Unpack it first.");
        }

        return RecognizeCompression(front);
    }

    private static ForeignFormat? RecognizeCompression(ReadOnlySpan<byte> front)
    {
        if (front.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B, 0x08]))
        {
            return new("compressed by gzip", DecompressFirst);
        }

        if (front.StartsWith((ReadOnlySpan<byte>)[0x28, 0xB5, 0x2F, 0xFD]))
        {
            return new("compressed by zstd", DecompressFirst);
        }

        if (front.StartsWith((ReadOnlySpan<byte>)[0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]))
        {
            return new("compressed by xz", DecompressFirst);
        }

        return front.StartsWith("PK\x03\x04"u8) ? new("a ZIP archive", "Unpack it first.") : null;
    }
}
