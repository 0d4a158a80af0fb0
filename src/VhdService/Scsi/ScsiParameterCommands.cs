using VhdCore.Devices;
using VhdService.Scsi.Wire;
using static System.Buffers.Binary.BinaryPrimitives;

namespace VhdService.Scsi;

/// <summary>The commands that are answered from what is known about a disk, without the medium.</summary>
internal sealed class ScsiParameterCommands(IBlockDevice device, DiskGeometry geometry, ScsiDiskOptions options)
{
    private const byte CachingPage = 0x08;
    private const byte AllPages = 0x3F;
    private const byte AllSubpages = 0xFF;
    private const int CachingPageSize = 20; // bytes

    /// <summary>Executes any such command, and refuses what is no command here.</summary>
    public ScsiResult Execute(ScsiRequest request) => request.Cdb.Opcode switch
    {
        ScsiOpcode.TestUnitReady or ScsiOpcode.PreventAllowMediumRemoval => ScsiResult.Good(),
        ScsiOpcode.Seek10 => request.Cdb.Lba < geometry.BlockCount ? ScsiResult.Good() : ScsiResult.Check(ScsiSense.LbaOutOfRange),
        ScsiOpcode.Inquiry => Inquiry(request),
        ScsiOpcode.ReadCapacity10 => ReadCapacity10(request),
        ScsiOpcode.ServiceActionIn16 => ReadCapacity16(request),
        ScsiOpcode.ModeSense6 or ScsiOpcode.ModeSense10 => ModeSense(request),
        _ => ScsiResult.Check(ScsiSense.InvalidOpcode),
    };

    /// <summary>REQUEST SENSE: a pending unit attention, which is told by it, or nothing (SPC-3, 6.27).</summary>
    public static ScsiResult RequestSense(ScsiRequest request, ScsiSense pending)
    {
        Span<byte> answer = stackalloc byte[ScsiSense.FixedSize];
        if ((request.Cdb.Flags & 0x01) != 0) // DESC
        {
            pending.WriteDescriptor(answer);
            return request.Answer(answer[..ScsiSense.DescriptorSize]);
        }

        pending.WriteFixed(answer);
        return request.Answer(answer);
    }

    private ScsiResult Inquiry(ScsiRequest request)
    {
        var cdb = request.Cdb;
        Span<byte> answer = stackalloc byte[InquiryData.MaxSize];
        answer.Clear();
        int length;
        if (cdb.WantsVpd)
        {
            length = cdb.VpdPage switch
            {
                0x00 => InquiryData.WriteSupportedPages(answer),
                0x80 => InquiryData.WriteSerialNumber(answer, options.Id),
                0x83 => InquiryData.WriteIdentification(answer, options.Id),
                0xB0 => InquiryData.WriteLimits(answer, geometry.Limits),
                0xB1 => InquiryData.WriteCharacteristics(answer, options.IsSolidState),
                0xB2 => InquiryData.WriteProvisioning(answer),
                _ => 0,
            };
        }
        else
        {
            length = cdb.VpdPage == 0 && cdb.Flags == 0 ? InquiryData.WriteStandard(answer) : 0;
        }

        return length == 0 ? ScsiResult.Check(ScsiSense.InvalidFieldInCdb) : request.Answer(answer[..length]);
    }

    private ScsiResult ReadCapacity10(ScsiRequest request)
    {
        Span<byte> answer = stackalloc byte[8];
        WriteUInt32BigEndian(answer, (uint)Math.Min(LastLba, uint.MaxValue));
        WriteInt32BigEndian(answer[4..], geometry.BlockSize);
        return request.Answer(answer);
    }

    private ScsiResult ReadCapacity16(ScsiRequest request)
    {
        if (request.Cdb.ServiceAction != 0x10)
        {
            return ScsiResult.Check(ScsiSense.InvalidFieldInCdb);
        }

        Span<byte> answer = stackalloc byte[32];
        answer.Clear();
        WriteUInt64BigEndian(answer, LastLba);
        WriteInt32BigEndian(answer[8..], geometry.BlockSize);
        answer[13] = (byte)geometry.PhysicalExponent;
        answer[14] = 0x80; // LBPME: thin. LBPRZ stays clear, because a trim may leave content where it is
        return request.Answer(answer);
    }

    private ScsiResult ModeSense(ScsiRequest request)
    {
        var cdb = request.Cdb;
        if (cdb.ModePageControl == 3
            || cdb.ModePage is not (CachingPage or AllPages)
            || cdb.ModeSubpage is not (0 or AllSubpages)
            || (cdb.ModePage == CachingPage && cdb.ModeSubpage != 0))
        {
            return ScsiResult.Check(ScsiSense.InvalidFieldInCdb);
        }

        var isLong = cdb.Opcode == ScsiOpcode.ModeSense10;
        var headerSize = isLong ? 8 : 4;
        var length = headerSize + CachingPageSize;
        Span<byte> answer = stackalloc byte[8 + CachingPageSize];
        answer.Clear();
        var deviceSpecific = (byte)(0x10 | (device.Info.IsReadOnly ? 0x80 : 0)); // DPOFUA, WP
        if (isLong)
        {
            WriteUInt16BigEndian(answer, (ushort)(length - 2));
            answer[3] = deviceSpecific;
        }
        else
        {
            answer[0] = (byte)(length - 1);
            answer[2] = deviceSpecific;
        }

        var page = answer[headerSize..];
        page[0] = CachingPage;
        page[1] = CachingPageSize - 2;
        page[2] = cdb.ModePageControl == 1 ? (byte)0 : (byte)0x04; // WCE; nothing can be changed
        return request.Answer(answer[..length]);
    }

    private ulong LastLba => geometry.BlockCount == 0 ? 0 : geometry.BlockCount - 1;
}
