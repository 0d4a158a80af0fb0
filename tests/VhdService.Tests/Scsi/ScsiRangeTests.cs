using System.Buffers.Binary;
using VhdCore.Errors;
using VhdService.Scsi;

namespace VhdService.Tests.Scsi;

/// <summary>UNMAP, WRITE SAME and VERIFY.</summary>
public sealed class ScsiRangeTests : IAsyncDisposable
{
    private static readonly ScsiSense OutOfRange = new(5, 0x21, 0);
    private static readonly ScsiSense InvalidField = new(5, 0x24, 0);
    private static readonly ScsiSense InvalidParameter = new(5, 0x26, 0);
    private static readonly ScsiSense Miscompare = new(0xE, 0x1D, 0);

    private readonly ScsiTestDevice _device = new(1 << 20);

    public ValueTask DisposeAsync() => _device.DisposeAsync();

    [Fact]
    public void Unmap_trims_each_range()
    {
        Assert.Equal(ScsiResult.Good(56), SendUnmap((8, 16), (0, 0), (2047, 1)));
        Assert.Equal(["trim 4096+8192", "trim 1048064+512"], _device.Log);
    }

    [Fact]
    public void Nothing_is_trimmed_unless_every_range_lies_on_the_disk()
    {
        Assert.Equal(ScsiResult.Check(OutOfRange), SendUnmap((8, 16), (2047, 2)));
        Assert.Equal(ScsiResult.Check(OutOfRange), SendUnmap((8, 16), (ulong.MaxValue, 1)));
        Assert.Equal(ScsiResult.Check(OutOfRange), SendUnmap((8, 16), (1UL << 55, 1)));
        Assert.Empty(_device.Log);
    }

    [Fact]
    public void Unmapping_more_than_the_limits_say_is_refused()
    {
        var huge = new ScsiHugeDevice(1L << 40);
        using var guest = new ScsiInitiator(huge);
        Assert.Equal(ScsiResult.Check(InvalidParameter), Send(guest, List((0, 2097152), (0, 1))));
        Assert.Empty(huge.Requests);
        Assert.Equal(ScsiResult.Good(40), Send(guest, List((0, 2097151), (0, 1))));

        var many = new byte[8 + (257 * 16)];
        Assert.Equal(ScsiResult.Check(InvalidParameter), Send(guest, many));
    }

    [Theory]
    [InlineData(0, 24, 0)] // no list is no error
    [InlineData(4, 24, 0x1A)]
    [InlineData(8, 24, 0)] // a header alone
    [InlineData(23, 24, 0)] // half a descriptor is none
    [InlineData(32, 24, -1)] // more than there is
    public void A_list_s_length_is_the_command_s(int listLength, int dataLength, int outcome)
    {
        using var guest = new ScsiInitiator(_device);
        var list = List((8, 16));
        var result = guest.Give(Unmap(listLength), list.AsSpan(0, dataLength));
        var expected = outcome switch
        {
            0 => ScsiResult.Good(listLength),
            -1 => ScsiResult.DataOverrun(0),
            _ => ScsiResult.Check(new ScsiSense(5, (byte)outcome, 0)),
        };
        Assert.Equal(expected, result);
        Assert.Empty(_device.Log);
    }

    [Fact]
    public void A_list_s_own_length_cuts_it()
    {
        var list = List((8, 16), (100, 16));
        BinaryPrimitives.WriteUInt16BigEndian(list.AsSpan(2), 16);
        using var guest = new ScsiInitiator(_device);
        Assert.Equal(ScsiResult.Good(40), Send(guest, list));
        Assert.Equal(["trim 4096+8192"], _device.Log);
    }

    [Fact]
    public void Anchoring_is_not_known()
    {
        using var guest = new ScsiInitiator(_device);
        Assert.Equal(ScsiResult.Check(InvalidField), guest.Give("42 01 00 00 00 00 00 00 18 00", List((8, 16))));
    }

    [Fact]
    public void A_disk_that_cannot_trim_has_done_its_part_and_one_that_fails_has_not()
    {
        _device.Fail = (_, _, _) => BlockStatus.Unsupported;
        Assert.Equal(ScsiResult.Good(24), SendUnmap((8, 16)));
        _device.Fail = (_, _, _) => BlockStatus.IoError;
        Assert.Equal(ScsiResult.Check(new ScsiSense(3, 0x0C, 0)), SendUnmap((8, 16)));
    }

    [Theory]
    [InlineData("41 00 00 00 00 08 00 00 10 00")]
    [InlineData("41 08 00 00 00 08 00 00 10 00")] // UNMAP with data that is not zero writes it
    [InlineData("93 00 00 00 00 00 00 00 00 08 00 00 00 10 00 00")]
    public void Write_same_repeats_the_block(string cdb)
    {
        using var guest = new ScsiInitiator(_device);
        var block = Block(5);
        Assert.Equal(ScsiResult.Good(512), guest.Give(cdb, block));
        for (var i = 0; i < 2048; i++)
        {
            Assert.Equal(i is >= 8 and < 24 ? block : new byte[512], _device.Content[(i * 512)..((i + 1) * 512)]);
        }
    }

    [Fact]
    public void Write_same_repeats_the_block_over_more_than_one_write()
    {
        using var guest = new ScsiInitiator(_device);
        var block = Block(6);
        Assert.Equal(ScsiResult.Good(512), guest.Give("41 00 00 00 00 01 00 05 01 00", block)); // 1281 blocks
        Assert.Equal(3, _device.Log.Count);
        Assert.All(Enumerable.Range(1, 1281), i => Assert.True(_device.Content.AsSpan(i * 512, 512).SequenceEqual(block)));
        Assert.True(_device.Content.AsSpan(1282 * 512, 512).SequenceEqual(new byte[512]));
    }

    [Theory]
    [InlineData("41 00 00 00 00 08 00 00 10 00", "zero 4096+8192")]
    [InlineData("41 08 00 00 00 08 00 00 10 00", "zero 4096+8192")]
    [InlineData("93 09 00 00 00 00 00 00 00 08 00 00 00 10 00 00", "zero 4096+8192")] // NDOB
    [InlineData("93 00 00 00 00 00 00 00 07 F8 00 00 00 00 00 00", "zero 1044480+4096")] // none means all that is left
    public void Write_same_of_zeros_zeroes(string cdb, string expected)
    {
        using var guest = new ScsiInitiator(_device);
        _device.Content.AsSpan().Fill(1);
        var hasData = !cdb.StartsWith("93 09", StringComparison.Ordinal);
        Assert.Equal(ScsiResult.Good(hasData ? 512 : 0), hasData ? guest.Give(cdb, new byte[512]) : guest.Send(cdb));
        Assert.Equal([expected], _device.Log);
    }

    [Theory]
    [InlineData("41 00 00 00 07 F8 00 00 09 00", 0x21)]
    [InlineData("93 01 FF FF FF FF FF FF FF FF 00 00 00 01 00 00", 0x21)]
    [InlineData("93 01 00 00 00 00 00 00 00 00 00 02 00 01 00 00", 0x24)] // over the limit
    [InlineData("41 10 00 00 00 00 00 00 01 00", 0x24)] // ANCHOR
    [InlineData("41 04 00 00 00 00 00 00 01 00", 0x24)] // PBDATA
    [InlineData("41 02 00 00 00 00 00 00 01 00", 0x24)] // LBDATA
    [InlineData("41 01 00 00 00 00 00 00 01 00", 0x24)] // NDOB is not in the short one
    [InlineData("41 20 00 00 00 00 00 00 01 00", 0x24)] // protection
    public void Write_same_refuses_what_it_does_not_know(string cdb, byte code)
    {
        using var guest = new ScsiInitiator(_device);
        Assert.Equal(ScsiResult.Check(new ScsiSense(5, code, 0)), guest.Give(cdb, Block(1)));
        Assert.Empty(_device.Log);
    }

    [Fact]
    public void Write_same_needs_a_whole_block()
    {
        using var guest = new ScsiInitiator(_device);
        Assert.Equal(ScsiResult.DataOverrun(0), guest.Give("41 00 00 00 00 00 00 00 01 00", new byte[511]));
        Assert.Equal(ScsiResult.DataOverrun(0), guest.Send("41 00 00 00 00 00 00 00 01 00"));
        Assert.Empty(_device.Log);
    }

    [Theory]
    [InlineData("2F 00 00 00 00 00 00 08 00 00", 2048)]
    [InlineData("8F 00 00 00 00 00 00 00 00 00 00 00 08 00 00 00", 2048)]
    public void Verify_reads_everything(string cdb, int blocks)
    {
        using var guest = new ScsiInitiator(_device);
        Assert.Equal(ScsiResult.Good(), guest.Send(cdb));
        Assert.Equal(blocks * 512, _device.Log.Sum(entry => int.Parse(entry[(entry.IndexOf('+', StringComparison.Ordinal) + 1)..], null)));

        _device.Fail = (_, offset, length) => offset + length > 1 << 19 ? BlockStatus.IoError : BlockStatus.Ok;
        Assert.Equal(ScsiResult.Check(new ScsiSense(3, 0x11, 0)), guest.Send(cdb));
    }

    [Fact]
    public void Verify_compares_when_asked()
    {
        using var guest = new ScsiInitiator(_device);
        var data = Block(9).Concat(Block(10)).ToArray();
        data.CopyTo(_device.Content, 3 * 512);
        Assert.Equal(ScsiResult.Good(1024), guest.Give("2F 02 00 00 00 03 00 00 02 00", data));
        Assert.Equal(ScsiResult.Good(1024), guest.Give("8F 02 00 00 00 00 00 00 00 03 00 00 00 02 00 00", data));

        data[1023] ^= 1;
        Assert.Equal(ScsiResult.Check(Miscompare, 1024), guest.Give("2F 02 00 00 00 03 00 00 02 00", data));
        Assert.Equal(ScsiResult.DataOverrun(0), guest.Give("2F 02 00 00 00 03 00 00 03 00", data));
    }

    [Fact]
    public void Verify_compares_every_block_with_one_when_asked()
    {
        using var guest = new ScsiInitiator(_device);
        var block = Block(11);
        for (var i = 0; i < 600; i++)
        {
            block.CopyTo(_device.Content, (4 + i) * 512);
        }

        Assert.Equal(ScsiResult.Good(512), guest.Give("2F 06 00 00 00 04 00 02 58 00", block)); // 600 blocks
        Assert.Equal(ScsiResult.Check(Miscompare, 512), guest.Give("2F 06 00 00 00 04 00 02 59 00", block));
    }

    [Theory]
    [InlineData("2F 04 00 00 00 00 00 00 01 00", 0x24)] // reserved
    [InlineData("2F 20 00 00 00 00 00 00 01 00", 0x24)] // protection
    [InlineData("2F 00 00 00 08 00 00 00 01 00", 0x21)]
    [InlineData("8F 00 00 00 00 00 00 00 00 00 FF FF FF FF 00 00", 0x21)]
    public void Verify_refuses_what_it_does_not_know(string cdb, byte code)
    {
        using var guest = new ScsiInitiator(_device);
        Assert.Equal(ScsiResult.Check(new ScsiSense(5, code, 0)), guest.Give(cdb, Block(1)));
        Assert.Empty(_device.Log);
    }

    private static byte[] Block(int seed)
    {
        var block = new byte[512];
        new Random(seed).NextBytes(block);
        return block;
    }

    private static byte[] List(params (ulong Lba, uint Count)[] ranges)
    {
        var list = new byte[8 + (16 * ranges.Length)];
        BinaryPrimitives.WriteUInt16BigEndian(list, (ushort)(list.Length - 2));
        BinaryPrimitives.WriteUInt16BigEndian(list.AsSpan(2), (ushort)(16 * ranges.Length));
        for (var i = 0; i < ranges.Length; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(list.AsSpan(8 + (16 * i)), ranges[i].Lba);
            BinaryPrimitives.WriteUInt32BigEndian(list.AsSpan(16 + (16 * i)), ranges[i].Count);
        }

        return list;
    }

    private static ScsiResult Send(ScsiInitiator guest, byte[] list) =>
        guest.Give(Unmap(list.Length), list);

    private static string Unmap(int listLength) => $"42 00 00 00 00 00 00 {listLength:X4} 00";

    private ScsiResult SendUnmap(params (ulong Lba, uint Count)[] ranges)
    {
        using var guest = new ScsiInitiator(_device);
        var result = Send(guest, List(ranges));
        guest.Target.Detach(0);
        return result;
    }
}
