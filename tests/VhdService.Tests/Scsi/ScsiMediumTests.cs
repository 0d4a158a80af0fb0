using VhdCore.Errors;
using VhdCore.Testing;
using VhdService.Scsi;

namespace VhdService.Tests.Scsi;

/// <summary>Commands that read and write the medium.</summary>
public sealed class ScsiMediumTests
{
    private static readonly ScsiSense OutOfRange = new(5, 0x21, 0);
    private static readonly ScsiSense InvalidField = new(5, 0x24, 0);
    private static readonly ScsiSense WriteProtected = new(7, 0x27, 0);

    [Theory]
    [InlineData("08 00 00 03 02 00", 3, 2)]
    [InlineData("28 00 00 00 00 03 00 00 02 00", 3, 2)]
    [InlineData("A8 00 00 00 00 03 00 00 00 02 00 00", 3, 2)]
    [InlineData("88 00 00 00 00 00 00 00 00 03 00 00 00 02 00 00", 3, 2)]
    [InlineData("08 00 00 03 00 00", 3, 256)] // in 6 bytes, none means 256
    public void Each_read_moves_its_blocks(string cdb, int block, int count)
    {
        var device = Filled(1 << 20, 512);
        using var guest = new ScsiInitiator(device);
        var data = guest.Get(cdb, count * 512);
        Assert.Equal(device.Content[(block * 512)..((block + count) * 512)], data);
    }

    [Theory]
    [InlineData("0A 00 00 03 02 00", "write 1536+1024")]
    [InlineData("2A 00 00 00 00 03 00 00 02 00", "write 1536+1024")]
    [InlineData("2A 08 00 00 00 03 00 00 02 00", "write 1536+1024 fua")]
    [InlineData("AA 08 00 00 00 03 00 00 00 02 00 00", "write 1536+1024 fua")]
    [InlineData("8A 00 00 00 00 00 00 00 00 03 00 00 00 02 00 00", "write 1536+1024")]
    [InlineData("8A 18 00 00 00 00 00 00 00 03 00 00 00 02 00 00", "write 1536+1024 fua")] // with DPO
    public void Each_write_moves_its_blocks(string cdb, string expected)
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        var data = Pattern(1024, 7);
        Assert.Equal(ScsiResult.Good(1024), guest.Give(cdb, data));
        Assert.Equal([expected], device.Log);
        Assert.Equal(data, device.Content[1536..2560]);
        Assert.Equal(1024, device.Content.Count(value => value != 0));
    }

    [Fact]
    public void Blocks_of_a_4Kn_disk_are_4096_bytes()
    {
        var device = Filled(1 << 20, 4096);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(device.Content[8192..16384], guest.Get("28 00 00 00 00 02 00 00 02 00", 8192));
    }

    [Fact]
    public void Sixteen_bytes_reach_behind_two_tebibytes()
    {
        var device = new ScsiHugeDevice(64L << 40);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(512, guest.Get("88 00 00 00 00 1F FF FF FF FF 00 00 00 01 00 00", 512).Length);
        Assert.Equal([((64L << 40) - 512, 512L)], device.Requests);
    }

    [Theory]
    [InlineData("28 00 00 00 07 FF 00 00 01 00", true)] // the last
    [InlineData("28 00 00 00 08 00 00 00 01 00", false)]
    [InlineData("28 00 00 00 07 FF 00 00 02 00", false)]
    [InlineData("28 00 FF FF FF FF 00 00 01 00", false)]
    [InlineData("88 00 FF FF FF FF FF FF FF FF 00 00 00 01 00 00", false)]
    [InlineData("88 00 00 80 00 00 00 00 00 00 00 00 00 01 00 00", false)] // 2^55 blocks are 2^64 bytes
    [InlineData("88 00 00 00 00 00 00 00 00 00 FF FF FF FF 00 00", false)]
    public void Reads_end_at_the_end(string cdb, bool isInside)
    {
        using var guest = new ScsiInitiator(new ScsiTestDevice(1 << 20));
        var (result, _) = guest.Receive(cdb, 1024);
        Assert.Equal(isInside ? ScsiResult.Good(512) : ScsiResult.Check(OutOfRange), result);
    }

    [Theory]
    [InlineData("28 00 00 00 00 03 00 00 00 00")]
    [InlineData("2A 00 00 00 00 03 00 00 00 00")]
    [InlineData("88 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00")] // at the end
    public void No_blocks_are_moved_and_that_is_good(string cdb)
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(ScsiResult.Good(), guest.Send(cdb));
        Assert.Empty(device.Log);
    }

    [Fact]
    public void More_than_one_command_may_move_is_refused()
    {
        using var guest = new ScsiInitiator(new ScsiTestDevice(1 << 20), maxTransferBytes: 64 << 10);
        Assert.Equal(64 << 10, guest.Get("28 00 00 00 00 00 00 00 80 00", 128 << 10).Length);
        Assert.Equal(ScsiResult.Check(InvalidField), guest.Receive("28 00 00 00 00 00 00 00 81 00", 128 << 10).Result);
    }

    [Theory]
    [InlineData("28 20 00 00 00 00 00 00 01 00")]
    [InlineData("2A 20 00 00 00 00 00 00 01 00")]
    public void Protection_information_is_not_known(string cdb)
    {
        using var guest = new ScsiInitiator(new ScsiTestDevice(1 << 20));
        Assert.Equal(ScsiResult.Check(InvalidField), guest.Send(cdb));
    }

    [Fact]
    public void A_read_with_too_little_room_fills_the_room()
    {
        var device = Filled(1 << 20, 512);
        using var guest = new ScsiInitiator(device);
        var (result, data) = guest.Receive("28 00 00 00 00 00 00 00 02 00", 700);
        Assert.Equal(ScsiResult.DataOverrun(700), result);
        Assert.Equal(device.Content[..700], data);
    }

    [Fact]
    public void A_write_with_too_little_data_changes_nothing()
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(ScsiResult.DataOverrun(0), guest.Give("2A 00 00 00 00 00 00 00 02 00", Pattern(1023, 1)));
        Assert.Empty(device.Log);
    }

    [Fact]
    public void Data_going_the_wrong_way_is_refused()
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(ScsiResult.Check(InvalidField), guest.Receive("2A 00 00 00 00 00 00 00 01 00", 512).Result);
        Assert.Equal(ScsiResult.Check(InvalidField), guest.Give("28 00 00 00 00 00 00 00 01 00", new byte[512]));
        Assert.Equal(ScsiResult.Check(InvalidField), guest.Send("28 00 00 00 00 00 00 00 01 00"));
        Assert.Empty(device.Log);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Memory_in_pieces_longer_than_the_command_is_used_as_far_as_it_goes(int seed)
    {
        var device = Filled(1 << 20, 512);
        using var guest = new ScsiInitiator(device);
        var random = new Random(seed);
        for (var i = 0; i < 50; i++)
        {
            using var memory = VhdCore.Testing.Conformance.SegmentedBuffer.CreateRandom(random, 8, length: 4096 + random.Next(5000));
            var count = random.Next(1, 9);
            var result = guest.Send($"28 00 00 00 00 05 00 00 {count:X2} 00", ScsiDirection.FromUnit, memory.Buffers);
            Assert.Equal(ScsiResult.Good(count * 512), result);
            var read = new byte[memory.Length];
            memory.Buffers.CopyTo(0, read);
            Assert.Equal(device.Content[(5 * 512)..((5 + count) * 512)], read[..(count * 512)]);
            Assert.DoesNotContain(read[(count * 512)..], value => value != 0);
        }
    }

    [Fact]
    public void A_read_with_FUA_flushes_first()
    {
        var device = Filled(1 << 20, 512);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(device.Content[..512], guest.Get("28 08 00 00 00 00 00 00 01 00", 512));
        Assert.Equal(["flush", "read 0+512"], device.Log);
    }

    [Theory]
    [InlineData("35 00 00 00 00 00 00 00 00 00")]
    [InlineData("91 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00")]
    [InlineData("1B 00 00 00 00 00")] // STOP
    public void Synchronizing_flushes(string cdb)
    {
        var device = new ScsiTestDevice(1 << 20);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(ScsiResult.Good(), guest.Send(cdb));
        Assert.Equal(["flush"], device.Log);

        device.Fail = (_, _, _) => BlockStatus.IoError;
        Assert.Equal(ScsiResult.Check(new ScsiSense(3, 0x0C, 0)), guest.Send(cdb));
    }

    [Theory]
    [InlineData("2A 00 00 00 00 00 00 00 01 00", 512)]
    [InlineData("42 00 00 00 00 00 00 00 18 00", 24)]
    [InlineData("41 00 00 00 00 00 00 00 01 00", 512)]
    [InlineData("93 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00", 0)]
    public void A_read_only_disk_refuses_what_writes(string cdb, int length)
    {
        var device = new ScsiTestDevice(1 << 20, isReadOnly: true);
        using var guest = new ScsiInitiator(device);
        Assert.Equal(ScsiResult.Check(WriteProtected), guest.Give(cdb, new byte[length]));
        Assert.Empty(device.Log);
        Assert.Equal(512, guest.Get("28 00 00 00 00 00 00 00 01 00", 512).Length);
    }

    [Theory]
    [InlineData(BlockStatus.OutOfRange, 0x5, 0x21, 0)]
    [InlineData(BlockStatus.ReadOnly, 0x7, 0x27, 0)]
    [InlineData(BlockStatus.NoSpace, 0x7, 0x27, 7)]
    [InlineData(BlockStatus.Unsupported, 0x4, 0x44, 0)]
    [InlineData(BlockStatus.Cancelled, 0xB, 0, 0)]
    [InlineData(BlockStatus.Closed, 0x2, 0x04, 0)]
    [InlineData(BlockStatus.IoError, 0x3, 0x11, 0)]
    [InlineData(BlockStatus.Corrupt, 0x3, 0x11, 0)]
    public void What_the_device_answers_becomes_sense(BlockStatus status, byte key, byte code, byte qualifier)
    {
        var device = new ScsiTestDevice(1 << 20) { Fail = (_, _, _) => status };
        using var guest = new ScsiInitiator(device);
        Assert.Equal(ScsiResult.Check(new ScsiSense(key, code, qualifier)), guest.Receive("28 00 00 00 00 00 00 00 01 00", 512).Result);

        var forWrites = key == 3 ? new ScsiSense(3, 0x0C, 0) : new ScsiSense(key, code, qualifier);
        Assert.Equal(ScsiResult.Check(forWrites), guest.Give("2A 00 00 00 00 00 00 00 01 00", new byte[512]));

        device.Fail = null;
        Assert.Equal(512, guest.Get("28 00 00 00 00 00 00 00 01 00", 512).Length);
    }

    [Fact]
    public async Task A_device_that_throws_is_an_internal_failure()
    {
        var device = new ScsiTestDevice(1 << 20) { Fail = (_, _, _) => throw new InvalidOperationException("a device must not") };
        using var guest = new ScsiInitiator(device);
        foreach (var cdb in new[] { "28 00 00 00 00 00 00 00 01 00", "2F 00 00 00 00 00 00 00 01 00" })
        {
            Assert.Equal(ScsiResult.Check(new ScsiSense(4, 0x44, 0)), guest.Receive(cdb, 512).Result);
        }

        device.Holds = true;
        using var memory = new NativeBuffer(512);
        var later = guest.SendAsync([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], ScsiDirection.FromUnit, memory.Buffers);
        Assert.False(later.IsCompleted);
        device.LetGo();
        Assert.Equal(ScsiResult.Check(new ScsiSense(3, 0x11, 0)), await later);
    }

    private static ScsiTestDevice Filled(int length, int logicalSectorSize)
    {
        var device = new ScsiTestDevice(length, logicalSectorSize);
        Pattern(length, 3).CopyTo(device.Content, 0);
        return device;
    }

    private static byte[] Pattern(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] |= 1; // never zero, so that what was moved can be counted
        }

        return bytes;
    }
}
