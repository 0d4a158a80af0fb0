using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;
using VhdCore.Vhd;

namespace VhdCore.Formats;

/// <summary>
/// Tells a storage's format from its bytes. Footers first, so that a fixed VHD, whose front is the guest's, is never taken for raw; and whatever
/// looks like a damaged VHD is one, so that opening says what is wrong instead of passing its tables off as content.
/// </summary>
/// <remarks>Raw is what remains. A guest can write any bytes into a raw disk, so whoever knows the format should say it.</remarks>
internal static class FormatDetector
{
    private const int ReservedOffset = 86; // bytes from a footer's start

    private const int FrontSize = 2048; // bytes: the footer's copy, a header behind it, a tar's first header

    // Behind a fixed disk's footer, tools that round a file's length up leave at most this many zeros.
    internal const int TailSize = 64 << 10; // bytes

    /// <summary>The format of the storage.</summary>
    /// <exception cref="UnsupportedImageException">The bytes are another format's, which the message names.</exception>
    /// <exception cref="CorruptImageException">The name is a VHD's or VHDX's, and nothing in the bytes is.</exception>
    /// <exception cref="StorageException">The medium failed.</exception>
    public static async ValueTask<ImageFormat> DetectAsync(IStorage storage, CancellationToken cancellationToken = default)
    {
        var length = storage.Length;
        var front = new byte[(int)Math.Min(length, FrontSize)];
        await storage.ReadExactAsync(0, front, "the first bytes", cancellationToken).ConfigureAwait(false);
        var tailOffset = Alignment.Down(Math.Max(0, length - TailSize), VhdLayout.SectorSize);
        var tail = new byte[(int)(length - tailOffset)];
        await storage.ReadExactAsync(tailOffset, tail, "the last bytes", cancellationToken).ConfigureAwait(false);
        return Detect(front, tail, tailOffset, storage.Name);
    }

    /// <summary>What the front alone says, of something whose end is not known yet: VHDX, a VHD with a copy of its footer, or null for what may be raw or a fixed VHD.</summary>
    /// <exception cref="UnsupportedImageException">The bytes are another format's, which the message names.</exception>
    internal static ImageFormat? DetectFront(ReadOnlySpan<byte> front, string name) =>
        front.StartsWith("vhdxfile"u8) ? ImageFormat.Vhdx
        : HasVhdFront(front) || LooksLikeDamagedFront(front) ? ImageFormat.Vhd
        : ForeignFormat.Recognize(front) is { } foreign ? throw Foreign(foreign, name)
        : null;

    /// <summary>The format of a storage that begins with <paramref name="front"/> and from <paramref name="tailOffset"/> on ends with <paramref name="tail"/>.</summary>
    internal static ImageFormat Detect(ReadOnlySpan<byte> front, ReadOnlySpan<byte> tail, long tailOffset, string name)
    {
        if (front.StartsWith("vhdxfile"u8))
        {
            // The front of a VHDX is never the guest's, nor is the end of a fixed VHD, but the other end always is.
            return !HasValidFooterAtEnd(tail) ? ImageFormat.Vhdx : throw new UnsupportedImageException(
                $"'{name}' begins as a VHDX does and ends as a fixed VHD does; one of the two was written by a guest. Give the format: -f vhdx or -f vhd.", name, fileOffset: 0);
        }

        if (HasFooterAtEnd(tail) || HasVhdFront(front))
        {
            return ImageFormat.Vhd;
        }

        if (ForeignFormat.Recognize(front) is { } foreign)
        {
            throw Foreign(foreign, name);
        }

        if (LooksLikeDamagedFooter(tail) || LooksLikeDamagedFront(front) || HasFooterBeforeZeros(tail, tailOffset))
        {
            return ImageFormat.Vhd;
        }

        if (IsNamedAsVhd(name))
        {
            throw new CorruptImageException(
                $"'{name}' has a virtual hard disk's name, but neither a VHDX's signature nor a VHD's footer at its end or its start: it was cut short or overwritten, " +
                "or is something else. Compare its size with the original's. If it holds a disk's bytes as they are, give the format: -f raw.",
                name);
        }

        return ImageFormat.Raw;
    }

    private static UnsupportedImageException Foreign(ForeignFormat foreign, string name) => new(
        $"'{name}' is {foreign.Name}, which is not handled here. {foreign.NextStep} To use its bytes as they are, give the format: -f raw.", name, fileOffset: 0);

    private static bool HasFooterAtEnd(ReadOnlySpan<byte> tail) =>
        (tail.Length >= VhdLayout.FooterSize && IsCookie(tail[^VhdLayout.FooterSize..]))
        || (tail.Length >= VhdLayout.FooterSize - 1 && IsCookie(tail[^(VhdLayout.FooterSize - 1)..]));

    private static bool HasValidFooterAtEnd(ReadOnlySpan<byte> tail) =>
        tail.Length >= VhdLayout.FooterSize && new VhdFooterView(tail[^VhdLayout.FooterSize..]) is var footer && footer.HasCookie && footer.ChecksumIsValid();

    private static bool HasVhdFront(ReadOnlySpan<byte> front) =>
        IsCookie(front) || (front.Length >= VhdLayout.FooterSize + 8 && front[VhdLayout.FooterSize..].StartsWith("cxsparse"u8));

    private static bool IsCookie(ReadOnlySpan<byte> bytes) => bytes.StartsWith("conectix"u8) || bytes.StartsWith("v_poison"u8);

    private static bool LooksLikeDamagedFooter(ReadOnlySpan<byte> tail) =>
        (tail.Length >= VhdLayout.FooterSize && IsFooterButForCookie(tail[^VhdLayout.FooterSize..]))
        || (tail.Length >= VhdLayout.FooterSize - 1 && IsAlmost(tail[^(VhdLayout.FooterSize - 1)..], "conectix"u8));

    private static bool LooksLikeDamagedFront(ReadOnlySpan<byte> front) =>
        (front.Length >= VhdLayout.FooterSize && IsFooterButForCookie(front[..VhdLayout.FooterSize]))
        || (front.Length >= VhdLayout.FooterSize + 8 && IsAlmost(front[VhdLayout.FooterSize..], "cxsparse"u8));

    // A cookie with up to two wrong bytes, fields and reserved bytes that are a footer's, or a sum that is right once the cookie is.
    private static bool IsFooterButForCookie(ReadOnlySpan<byte> footer)
    {
        var view = new VhdFooterView(footer);
        if (IsAlmost(footer, "conectix"u8)
            || (view.Features == 2 && view.FileFormatVersion == 0x0001_0000
                && view.DiskType is VhdDiskType.Fixed or VhdDiskType.Dynamic or VhdDiskType.Differencing
                && !footer[ReservedOffset..VhdLayout.FooterSize].ContainsAnyExcept((byte)0)))
        {
            return true;
        }

        Span<byte> mended = stackalloc byte[VhdLayout.FooterSize];
        footer.CopyTo(mended);
        "conectix"u8.CopyTo(mended);
        return new VhdFooterView(mended).ChecksumIsValid();
    }

    private static bool IsAlmost(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> cookie)
    {
        var equal = 0;
        for (var i = 0; i < Math.Min(bytes.Length, cookie.Length); i++)
        {
            equal += bytes[i] == cookie[i] ? 1 : 0;
        }

        return equal >= cookie.Length - 2;
    }

    // A fixed disk's footer whose size is the offset it stands at, and nothing but zeros behind it.
    private static bool HasFooterBeforeZeros(ReadOnlySpan<byte> tail, long tailOffset)
    {
        var last = tail.LastIndexOfAnyExcept((byte)0);
        if (last < 0)
        {
            return false;
        }

        var start = (int)Alignment.Down(last, VhdLayout.SectorSize);
        if (start > tail.Length - VhdLayout.FooterSize)
        {
            return false;
        }

        var footer = new VhdFooterView(tail[start..]);
        return footer.HasCookie && footer.CurrentSize == (ulong)(tailOffset + start);
    }

    private static bool IsNamedAsVhd(string name) =>
        Path.GetExtension(name.AsSpan()) is var extension
        && (extension.Equals(".vhd", StringComparison.OrdinalIgnoreCase)
            || extension.Equals(".avhd", StringComparison.OrdinalIgnoreCase)
            || extension.Equals(".vhdx", StringComparison.OrdinalIgnoreCase)
            || extension.Equals(".avhdx", StringComparison.OrdinalIgnoreCase));
}
