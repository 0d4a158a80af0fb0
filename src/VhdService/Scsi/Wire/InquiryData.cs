using System.Globalization;
using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Scsi.Wire;

/// <summary>What INQUIRY answers (SPC-3, 6.4 and 7.6; SBC-3, 6.6). Each method fills a zeroed span and says how much of it.</summary>
internal static class InquiryData
{
    /// <summary>Bytes of standard data.</summary>
    public const int StandardSize = 36;

    /// <summary>Bytes that the longest page needs.</summary>
    public const int MaxSize = 96;

    private const int LimitsSize = 64;

    // Guests go by these: Windows wants exactly this vendor and product, and hv_storvsc takes vendors that begin with "Msft" for speaking SPC-3.
    private static ReadOnlySpan<byte> Vendor => "Msft    "u8;

    private static ReadOnlySpan<byte> Product => "Virtual Disk    "u8;

    private static ReadOnlySpan<byte> Pages => [0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2];

    /// <summary>Standard data of a direct-access device.</summary>
    public static int WriteStandard(Span<byte> into)
    {
        into[2] = 0x05; // SPC-3
        into[3] = 0x02; // response data format
        into[4] = StandardSize - 5;
        into[7] = 0x02; // CmdQue
        Vendor.CopyTo(into[8..]);
        Product.CopyTo(into[16..]);
        "1.0 "u8.CopyTo(into[32..]);
        return StandardSize;
    }

    /// <summary>Standard data that says: nothing is here, and nothing can be.</summary>
    public static void WriteAbsent(Span<byte> into)
    {
        into[..StandardSize].Clear();
        into[0] = 0x7F;
    }

    /// <summary>Page 00h: the pages there are.</summary>
    public static int WriteSupportedPages(Span<byte> into)
    {
        Pages.CopyTo(into[4..]);
        return Finish(into, 0x00, Pages.Length);
    }

    /// <summary>Page 80h: the serial number, 32 hexadecimal digits.</summary>
    public static int WriteSerialNumber(Span<byte> into, Guid id)
    {
        WriteDigits(into[4..], id);
        return Finish(into, 0x80, 32);
    }

    /// <summary>Page 83h: an NAA name of 16 bytes and a T10 name, both from the disk's identity.</summary>
    public static int WriteIdentification(Span<byte> into, Guid id)
    {
        Span<byte> raw = stackalloc byte[16];
        id.TryWriteBytes(raw, bigEndian: true, out _);

        var naa = into[4..];
        naa[0] = 0x01; // binary
        naa[1] = 0x03; // of the unit; NAA
        naa[3] = 16;
        raw.CopyTo(naa[4..]);
        naa[4] = 0x60; // NAA 6, then the company identifier 00-22-48
        naa[5] = 0x02;
        naa[6] = 0x24;
        naa[7] = (byte)(0x80 | (raw[3] & 0x0F));

        var t10 = into[24..];
        t10[0] = 0x02; // ASCII
        t10[1] = 0x01; // of the unit; T10 vendor
        t10[3] = 8 + 32;
        Vendor.CopyTo(t10[4..]);
        WriteDigits(t10[12..], id);
        return Finish(into, 0x83, 20 + 44);
    }

    /// <summary>Page B0h: limits, in logical blocks.</summary>
    public static int WriteLimits(Span<byte> into, in DiskLimits limits)
    {
        WriteUInt16BigEndian(into[6..], limits.OptimalGranularity);
        WriteUInt32BigEndian(into[8..], limits.MaxTransfer);
        WriteUInt32BigEndian(into[12..], limits.MaxTransfer); // optimal
        WriteUInt32BigEndian(into[20..], limits.MaxUnmap);
        WriteUInt32BigEndian(into[24..], limits.MaxUnmapDescriptors);
        WriteUInt32BigEndian(into[28..], limits.UnmapGranularity);
        WriteUInt32BigEndian(into[32..], 0x8000_0000); // unmap alignment 0, valid
        WriteUInt64BigEndian(into[36..], limits.MaxWriteSame);
        return Finish(into, 0xB0, LimitsSize - 4);
    }

    /// <summary>Page B1h: the medium's rotation.</summary>
    public static int WriteCharacteristics(Span<byte> into, bool isSolidState)
    {
        WriteUInt16BigEndian(into[4..], isSolidState ? (ushort)1 : (ushort)0);
        return Finish(into, 0xB1, LimitsSize - 4);
    }

    /// <summary>Page B2h: UNMAP and both WRITE SAME can unmap, and what they unmap need not read as zeros afterwards.</summary>
    public static int WriteProvisioning(Span<byte> into)
    {
        into[5] = 0x80 | 0x40 | 0x20; // LBPU, LBPWS, LBPWS10
        into[6] = 2; // thin
        return Finish(into, 0xB2, 4);
    }

    private static void WriteDigits(Span<byte> into, Guid id) =>
        Encoding.ASCII.GetBytes(id.ToString("N", CultureInfo.InvariantCulture), into);

    private static int Finish(Span<byte> into, byte page, int length)
    {
        into[1] = page;
        WriteUInt16BigEndian(into[2..], (ushort)length);
        return 4 + length;
    }
}
