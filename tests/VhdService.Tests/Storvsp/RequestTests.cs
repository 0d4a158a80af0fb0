using System.Buffers.Binary;
using VhdCore.Errors;
using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

public sealed class RequestTests : IAsyncDisposable
{
    private readonly PumpedWorld _world = new(11);
    private readonly RamDevice _device = new(4 << 20);
    private readonly HostMachine _machine;
    private readonly GuestStorvsc _driver;

    public RequestTests()
    {
        new Random(1).NextBytes(_device.Content);
        _machine = new HostMachine(_world);
        _machine.Target.Attach(0, _device);
        _driver = _machine.Start();
    }

    private MiniSd Disk
    {
        get
        {
            var disk = new MiniSd(_driver);
            disk.Probe();
            return disk;
        }
    }

    [Fact]
    public void A_scan_of_every_place_finds_the_one_disk()
    {
        var found = new List<(int Path, int Target, int Lun)>();
        for (var path = 0; path < 8; path++)
        {
            for (var target = 0; target < 2; target++)
            {
                Assert.Equal(path == 0 && target == 0 ? [0] : Array.Empty<int>(), MiniSd.ReportLuns(_driver, path, target));
                foreach (var lun in new[] { 0, 1, 2, 63, 64, 255 })
                {
                    if (MiniSd.IsPresent(_driver, lun, path, target))
                    {
                        found.Add((path, target, lun));
                    }
                }
            }
        }

        Assert.Equal([(0, 0, 0)], found);
    }

    [Fact]
    public void An_absent_unit_answers_INQUIRY_and_nothing_else()
    {
        using var data = new GuestData(_machine.Ram, 96);
        var inquiry = _driver.Execute([0x12, 0, 0, 0, 96, 0], SrbData.Read, data, lun: 7);
        Assert.True(inquiry.IsGood);
        Assert.True(inquiry.Transferred >= 36);
        Assert.Equal(0x7F, data.ToArray()[0]);
        Assert.Equal(new byte[35], data.ToArray()[1..36]);
        Assert.Equal((5, 0x24, 0), _driver.Execute([0x12, 1, 0, 0, 96, 0], SrbData.Read, data, lun: 7).SenseCode);
        foreach (byte operation in new byte[] { 0x00, 0x28, 0x2A, 0x35, 0x1A })
        {
            var reply = _driver.Execute(new byte[] { operation, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, SrbData.Read, data, lun: 7);
            Assert.Equal((0xC00000C0u, (byte)0x20, (byte)0), (reply.VstorStatus, reply.SrbStatus, reply.ScsiStatus));
            Assert.Equal(0u, reply.Transferred);
        }
    }

    [Fact]
    public void An_unknown_command_has_the_sense_that_the_table_gives()
    {
        var reply = _driver.Execute([0x5E, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        Assert.Equal((byte)0x86, reply.SrbStatus);
        Assert.Equal((byte)2, reply.ScsiStatus);
        Assert.Equal(18, reply.Sense.Length);
        Assert.Equal((5, 0x20, 0), reply.SenseCode);
        Assert.Equal(0xC0000185u, reply.VstorStatus);
    }

    [Theory]
    [InlineData(BlockStatus.IoError, false, 3, 0x11)]
    [InlineData(BlockStatus.Corrupt, false, 3, 0x11)]
    [InlineData(BlockStatus.IoError, true, 3, 0x0C)]
    [InlineData(BlockStatus.NoSpace, true, 7, 0x27)]
    [InlineData(BlockStatus.ReadOnly, true, 7, 0x27)]
    public void A_device_s_failure_is_the_request_s_sense(BlockStatus status, bool isWrite, int key, int code)
    {
        var disk = Disk;
        _device.Fault = (offset, _) => offset == 8 * 512 ? status : BlockStatus.Ok;
        using var data = new GuestData(_machine.Ram, 512);
        var reply = _driver.Execute(MiniSd.TransferCdb(isWrite ? (byte)0x2A : (byte)0x28, 8, 1), isWrite ? SrbData.Write : SrbData.Read, data);
        Assert.Equal((byte)0x84, reply.SrbStatus);
        Assert.Equal((key, code), (reply.SenseCode!.Value.Key, reply.SenseCode.Value.Code));
        Assert.Equal(0u, reply.Transferred);
        disk.ReadBlocks(9, 1); // its neighbour is well
        _device.Fault = null;
        disk.ReadBlocks(8, 1);
    }

    [Fact]
    public void A_range_behind_the_end_is_refused()
    {
        using var data = new GuestData(_machine.Ram, 1024);
        var reply = _driver.Execute(MiniSd.TransferCdb(0x28, (4 << 20) / 512 - 1, 2), SrbData.Read, data);
        Assert.Equal((5, 0x21, 0), reply.SenseCode);
        Assert.Equal((byte)0x86, reply.SrbStatus);
    }

    [Fact]
    public void Data_goes_to_and_from_any_pages_at_any_offset()
    {
        var disk = Disk;
        var random = new Random(5);
        foreach (var offset in new[] { 0, 1, 8, 511, 512, 2048, 4095 })
        {
            foreach (var blocks in new[] { 1, 7, 8, 9, 64, 2048 })
            {
                var content = new byte[blocks * 512];
                random.NextBytes(content);
                disk.WriteBlocks(16, content, offset);
                Assert.True(_device.Content.Slice(16 * 512, content.Length).SequenceEqual(content));
                Assert.True(disk.ReadBlocks(16, blocks, 4095 - offset).AsSpan().SequenceEqual(content));
            }
        }

        Assert.Empty(_machine.Complaints);
    }

    [Fact]
    public void A_read_writes_no_byte_outside_its_range()
    {
        using var data = new GuestData(_machine.Ram, 5000, offset: 100);
        foreach (var page in data.Pages)
        {
            _machine.Ram.Page(page).Fill(0xEE);
        }

        // 16 blocks are 8192 bytes; the guest has room for 5000.
        var reply = _driver.Execute(MiniSd.TransferCdb(0x28, 0, 16), SrbData.Read, data);
        Assert.Equal((byte)0x12, reply.SrbStatus);
        Assert.Equal(5000u, reply.Transferred);
        Assert.Equal(_device.Content[..5000].ToArray(), data.ToArray());
        Assert.False(_machine.Ram.Page(data.Pages[0])[..100].ContainsAnyExcept((byte)0xEE));
        Assert.False(_machine.Ram.Page(data.Pages[1])[(5100 - 4096)..].ContainsAnyExcept((byte)0xEE));
    }

    [Fact]
    public void A_request_without_memory_moves_nothing()
    {
        var before = _device.Content.ToArray();
        Assert.Equal((byte)0x12, _driver.Execute(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read).SrbStatus);
        Assert.Equal((byte)0x12, _driver.Execute(MiniSd.TransferCdb(0x2A, 0, 1), SrbData.Write).SrbStatus);
        Assert.True(_device.Content.SequenceEqual(before));
        Assert.True(_driver.Execute(MiniSd.TransferCdb(0x28, 0, 0), SrbData.Read).IsGood);
    }

    [Fact]
    public void The_length_that_the_request_gives_counts_when_it_is_below_the_memory_s()
    {
        using var data = new GuestData(_machine.Ram, 4096);
        data.Set(Enumerable.Repeat((byte)0xEE, 4096).ToArray());
        var reply = Send(packet => GuestBus.Put(packet.AsSpan(^64), 24, 100), MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        Assert.Equal(100u, reply.Transferred);
        Assert.Equal(_device.Content[..100].ToArray(), data.ToArray()[..100]);
        Assert.False(data.ToArray().AsSpan(100).ContainsAnyExcept((byte)0xEE));
    }

    [Fact]
    public void Several_ranges_are_one_memory()
    {
        var pages = _machine.Ram.Allocate(4);
        var ranges = GuestBus.Range(512, 3584, [pages[0]]).Concat(GuestBus.Range(100, 4000, [pages[1], pages[2]])).Concat(GuestBus.Range(412, 0, [pages[3]])).ToArray();
        var reply = SendRanges(ranges, 3, 1024);
        Assert.True(reply.IsGood);
        var content = _device.Content[..1024].ToArray();
        Assert.Equal(content[..512], _machine.Ram.Page(pages[0])[3584..].ToArray());
        Assert.Equal(content[512..608], _machine.Ram.Page(pages[1])[4000..].ToArray());
        Assert.Equal(content[608..612], _machine.Ram.Page(pages[2])[..4].ToArray());
        Assert.Equal(content[612..], _machine.Ram.Page(pages[3])[..412].ToArray());
    }

    [Fact]
    public void Room_behind_the_page_numbers_is_not_looked_at()
    {
        var page = _machine.Ram.Allocate();
        var ranges = GuestBus.Range(512, 0, [page]).Concat(Enumerable.Repeat((byte)0xFF, 256)).ToArray();
        Assert.True(SendRanges(ranges, 1, 512).IsGood);
    }

    [Theory]
    [InlineData("page numbers too few", 4097u, 0u, 1, 1u)]
    [InlineData("an offset behind the page", 512u, 4096u, 1, 1u)]
    [InlineData("an offset far behind", 512u, uint.MaxValue, 1, 1u)]
    [InlineData("more bytes than a request moves", (1u << 20) + 1, 0u, 257, 1u)]
    [InlineData("more bytes than can be", uint.MaxValue, 0u, 1, 1u)]
    [InlineData("a second range that is not there", 4096u, 0u, 1, 2u)]
    [InlineData("too many ranges", 4096u, 0u, 1, 17u)]
    [InlineData("ranges without end", 4096u, 0u, 1, uint.MaxValue)]
    public void Memory_that_contradicts_itself_is_refused(string what, uint byteCount, uint byteOffset, int pageCount, uint rangeCount)
    {
        Assert.NotEmpty(what);
        var reply = SendRanges(GuestBus.Range(byteCount, byteOffset, _machine.Ram.Allocate(pageCount)), rangeCount, 512);
        Assert.Equal(((byte)6, 0xC000000Du), (reply.SrbStatus, reply.VstorStatus));
        Assert.True(_driver.Execute(new byte[6]).IsGood);
    }

    [Theory]
    [InlineData(2048UL)]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 52)]
    [InlineData((1UL << 52) - 1)]
    public void Pages_outside_memory_are_refused(ulong page)
    {
        var reply = SendRanges(GuestBus.Range(512, 0, [page]), 1, 512);
        Assert.Equal((byte)6, reply.SrbStatus);
        Assert.True(_driver.Execute(new byte[6]).IsGood);
    }

    [Fact]
    public void No_ranges_are_no_memory()
    {
        Assert.Equal((byte)0x12, SendRanges([], 0, 512).SrbStatus);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(17)]
    [InlineData(255)]
    public void A_command_of_no_length_is_refused(byte length)
    {
        var reply = Send(packet => packet[^44] = length, new byte[6], SrbData.None, null);
        Assert.Equal((byte)6, reply.SrbStatus);
    }

    [Fact]
    public void Sense_is_as_long_as_the_guest_wants_it_and_no_longer_than_twenty()
    {
        foreach (var (wanted, expected) in new[] { (0, 0), (8, 8), (18, 18), (20, 18), (255, 18) })
        {
            var reply = Send(packet => packet[^43] = (byte)wanted, [0x5E, 0, 0, 0, 0, 0, 0, 0, 0, 0], SrbData.None, null);
            Assert.Equal(expected, reply.Sense.Length);
            Assert.Equal(wanted > 0, (reply.SrbStatus & 0x80) != 0);
        }
    }

    [Fact]
    public void A_resize_is_one_unit_attention_and_then_the_new_size()
    {
        var disk = Disk;
        _device.Resize(8 << 20);
        using var data = new GuestData(_machine.Ram, 512);
        Assert.True(_driver.Execute([0x12, 0, 0, 0, 36, 0], SrbData.Read, data).IsGood); // INQUIRY is told nothing
        var reply = _driver.Execute(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        Assert.Equal(((byte)0x84, (byte)2), (reply.SrbStatus, reply.ScsiStatus));
        Assert.Equal((6, 0x2A, 9), reply.SenseCode);
        Assert.True(_driver.Execute(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data).IsGood);
        disk.ReadCapacity();
        Assert.Equal((8 << 20) / 512, disk.BlockCount);
        disk.WriteBlocks(disk.BlockCount - 1, new byte[512]);
    }

    [Fact]
    public void A_reset_is_answered_when_all_that_came_before_it_has_ended()
    {
        using var data = new GuestData(_machine.Ram, 512);
        _device.Holds = true;
        var read = _driver.Submit(MiniSd.TransferCdb(0x28, 0, 1), SrbData.Read, data);
        var packet = new byte[80];
        GuestStorvsc.WriteDescriptor(packet, 6, 16, packet.Length, GuestStorvsc.InitTag);
        GuestBus.Put(packet, 16, 6);
        _driver.Channels[0].TrySend(packet);
        var after = _driver.Submit(new byte[6]);
        _machine.Pump();
        _driver.Poll();
        Assert.Equal(2, _driver.Outstanding);
        _device.Release();
        Assert.True(_driver.Wait(read).IsGood);
        Assert.True(_driver.Wait(after).IsGood);
    }

    [Fact]
    public void Resets_without_anything_under_way_succeed_at_once()
    {
        foreach (var operation in new uint[] { 4, 5, 6 })
        {
            Assert.Equal(0u, GuestBus.Get(_driver.Configure(operation), 8));
        }
    }

    [Fact]
    public void A_request_that_wants_no_answer_gets_none()
    {
        var packet = GuestStorvsc.BuildRequest(77, new byte[6], SrbData.None, null);
        BinaryPrimitives.WriteUInt16LittleEndian(packet.AsSpan(6), 0);
        _driver.Channels[0].TrySend(packet);
        Assert.True(_driver.Execute(new byte[6]).IsGood);
    }

    [Fact]
    public void A_write_with_FUA_is_one_for_the_device_too_and_a_flush_is_a_flush()
    {
        var disk = Disk;
        disk.WriteBlocks(0, new byte[512]);
        Assert.Equal(0, _device.FuaCount);
        disk.WriteBlocks(0, new byte[512], fua: true);
        Assert.Equal(1, _device.FuaCount);
        disk.Flush();
        Assert.Equal(1, _device.FlushCount);
    }

    public async ValueTask DisposeAsync()
    {
        _device.Holds = false;
        _device.Release();
        await _machine.DisposeAsync();
        await _device.DisposeAsync();
    }

    private SrbReply SendRanges(byte[] ranges, uint rangeCount, uint length)
    {
        return Send(
            packet => { },
            MiniSd.TransferCdb(0x28, 0, Math.Max(1, (int)length / 512)),
            SrbData.Read,
            null,
            plain =>
            {
                var packet = new byte[24 + ranges.Length + 64];
                plain.AsSpan(0, 16).CopyTo(packet);
                GuestStorvsc.WriteDescriptor(packet, 9, 24 + ranges.Length, packet.Length, BinaryPrimitives.ReadUInt64LittleEndian(plain.AsSpan(8)));
                GuestBus.Put(packet, 20, rangeCount);
                ranges.CopyTo(packet, 24);
                plain.AsSpan(16).CopyTo(packet.AsSpan(24 + ranges.Length));
                GuestBus.Put(packet.AsSpan(24 + ranges.Length), 24, length);
                return packet;
            });
    }

    private SrbReply Send(Action<byte[]> change, ReadOnlySpan<byte> cdb, SrbData direction, GuestData? data, Func<byte[], byte[]>? rebuild = null)
    {
        var tag = _driver.Submit(
            cdb,
            direction,
            data,
            packet =>
            {
                packet = rebuild?.Invoke(packet) ?? packet;
                change(packet);
                return packet;
            });
        return _driver.Wait(tag);
    }
}
