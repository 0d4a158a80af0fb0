namespace VhdCore.Vhdx;

/// <summary>The first bytes of the file, never overwritten after its creation ([MS-VHDX] §2.2.1).</summary>
internal readonly ref struct VhdxFileTypeIdentifierView(ReadOnlySpan<byte> bytes)
{
    public const int Size = 520; // bytes; the signature and the creator

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public bool HasSignature => _bytes.StartsWith("vhdxfile"u8);

    /// <summary>The program that made the file, for people only.</summary>
    public string Creator => VhdxText.FromUtf16(_bytes[8..]);
}
