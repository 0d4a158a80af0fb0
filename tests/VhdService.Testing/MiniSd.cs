using System.Buffers.Binary;

namespace VhdService.Testing;

/// <summary>The guest's disk driver on one unit: probes it as Linux does, then reads, writes and discards.</summary>
internal sealed class MiniSd(GuestStorvsc driver, int lun = 0)
{
    public GuestStorvsc Driver => driver;

    public int Lun => lun;

    public long BlockCount { get; private set; }

    public int BlockSize { get; private set; }

    public int PhysicalBlockSize { get; private set; }

    public bool IsThin { get; private set; }

    public bool HasWriteCache { get; private set; }

    public bool HasFua { get; private set; }

    public bool IsReadOnly { get; private set; }

    public byte[] Serial { get; private set; } = [];

    private GuestRam Ram => driver.Bus.Ram;

    /// <summary>Whether a unit is there: the first byte of INQUIRY, as the scan reads it.</summary>
    public static bool IsPresent(GuestStorvsc driver, int lun, int path = 0, int target = 0)
    {
        using var data = new GuestData(driver.Bus.Ram, 36);
        driver.Execute([0x12, 0, 0, 0, 36, 0], SrbData.Read, data, lun, path, target); // whatever status: storvsc takes it for success
        return data.ToArray()[0] == 0 && data.ToArray()[4] >= 31;
    }

    /// <summary>The numbers of the units that REPORT LUNS names.</summary>
    public static int[] ReportLuns(GuestStorvsc driver, int path = 0, int target = 0)
    {
        using var data = new GuestData(driver.Bus.Ram, 4096);
        var reply = driver.Execute([0xA0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0], SrbData.Read, data, 0, path, target);
        Check(reply, "REPORT LUNS");
        var list = data.ToArray();
        return [.. Enumerable.Range(0, BinaryPrimitives.ReadInt32BigEndian(list) / 8).Select(index => (int)list[8 + (8 * index) + 1])];
    }

    /// <summary>The probe of the traces.</summary>
    public void Probe()
    {
        var inquiry = Read([0x12, 0, 0, 0, 36, 0], 36);
        if (inquiry[0] != 0 || !inquiry.AsSpan(8, 8).SequenceEqual("Msft    "u8))
        {
            throw new InvalidOperationException("INQUIRY shows no disk.");
        }

        var pages = ReadVpd(0);
        foreach (var page in pages)
        {
            var content = ReadVpd(page);
            if (page == 0x80)
            {
                Serial = content;
            }
        }

        ReportLuns(driver);
        Check(driver.Execute(new byte[6], lun: lun), "TEST UNIT READY");
        ReadCapacity();
        var mode = Read([0x1A, 0, 0x3F, 0, 4, 0], 4);
        IsReadOnly = (mode[2] & 0x80) != 0;
        HasFua = (mode[2] & 0x10) != 0;
        Read([0x1A, 0, 0x08, 0, 4, 0], 4);
        HasWriteCache = (Read([0x1A, 0, 0x08, 0, 24, 0], 24)[6] & 0x04) != 0;
    }

    public void ReadCapacity()
    {
        var capacity = Read([0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], 32);
        BlockCount = BinaryPrimitives.ReadInt64BigEndian(capacity) + 1;
        BlockSize = BinaryPrimitives.ReadInt32BigEndian(capacity.AsSpan(8));
        PhysicalBlockSize = BlockSize << (capacity[13] & 0xF);
        IsThin = (capacity[14] & 0x80) != 0;
    }

    public byte[] ReadBlocks(long lba, int count, int pageOffset = 0, int channel = 0)
    {
        using var data = new GuestData(Ram, count * BlockSize, pageOffset);
        var reply = driver.Execute(TransferCdb(0x28, lba, count), SrbData.Read, data, lun, channel: channel);
        Check(reply, $"READ of {count} at {lba}");
        return reply.Transferred == data.Length ? data.ToArray() : throw new InvalidOperationException($"{reply.Transferred} of {data.Length} bytes were read.");
    }

    public void WriteBlocks(long lba, ReadOnlySpan<byte> content, int pageOffset = 0, bool fua = false, int channel = 0)
    {
        using var data = new GuestData(Ram, content.Length, pageOffset);
        data.Set(content);
        var cdb = TransferCdb(0x2A, lba, content.Length / BlockSize);
        cdb[1] = fua ? (byte)8 : (byte)0;
        Check(driver.Execute(cdb, SrbData.Write, data, lun, channel: channel), $"WRITE at {lba}");
    }

    public void Flush() => Check(driver.Execute([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], lun: lun), "SYNCHRONIZE CACHE");

    public void Unmap(long lba, int count)
    {
        using var data = new GuestData(Ram, 24);
        var list = new byte[24];
        BinaryPrimitives.WriteUInt16BigEndian(list, 22);
        BinaryPrimitives.WriteUInt16BigEndian(list.AsSpan(2), 16);
        BinaryPrimitives.WriteInt64BigEndian(list.AsSpan(8), lba);
        BinaryPrimitives.WriteInt32BigEndian(list.AsSpan(16), count);
        data.Set(list);
        Check(driver.Execute([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], SrbData.Write, data, lun), "UNMAP");
    }

    public static byte[] TransferCdb(byte operation, long lba, int count)
    {
        var cdb = new byte[10];
        cdb[0] = operation;
        BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(2), (uint)lba);
        BinaryPrimitives.WriteUInt16BigEndian(cdb.AsSpan(7), (ushort)count);
        return cdb;
    }

    private byte[] ReadVpd(byte page)
    {
        var header = Read([0x12, 1, page, 0, 4, 0], 4);
        var length = 4 + BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(2));
        var content = Read([0x12, 1, page, 0, (byte)length, 0], length);
        return content[1] == page ? content[4..] : throw new InvalidOperationException($"Page 0x{page:X} is page 0x{content[1]:X}.");
    }

    private byte[] Read(ReadOnlySpan<byte> cdb, int length)
    {
        using var data = new GuestData(Ram, length);
        Check(driver.Execute(cdb, SrbData.Read, data, lun), $"operation 0x{cdb[0]:X}");
        return data.ToArray();
    }

    private static void Check(SrbReply reply, string what)
    {
        if (!reply.IsGood)
        {
            throw new InvalidOperationException($"{what}: {reply}, sense {reply.SenseCode}");
        }
    }
}
