using System.Buffers.Binary;
using System.Text;
using VhdService.Scsi;

namespace VhdService.Tests.Scsi;

/// <summary>Commands that are answered without the medium, byte by byte.</summary>
public sealed class ScsiParameterTests
{
    private static readonly Guid Id = new("00112233-4455-6677-8899-aabbccddeeff");

    [Fact]
    public void Standard_inquiry_data_is_what_guests_recognise()
    {
        using var guest = Guest();
        var expected = Convert.FromHexString("000005021F000002") // direct access, SPC-3, CmdQue
            .Concat("Msft    Virtual Disk    1.0 "u8.ToArray());
        Assert.Equal(expected, guest.Get("12 00 00 00 24 00", 36));
    }

    [Theory]
    [InlineData(255, 36, 36)]
    [InlineData(5, 36, 5)]
    [InlineData(36, 5, 5)]
    [InlineData(0, 36, 0)]
    public void An_answer_is_cut_to_the_allocation_length_and_to_the_memory(int allocation, int room, int expected)
    {
        using var guest = Guest();
        Assert.Equal(expected, guest.Get($"12 00 00 00 {allocation:X2} 00", room).Length);
    }

    [Theory]
    [InlineData("12 00 80 00 24 00")] // a page without EVPD
    [InlineData("12 02 00 00 24 00")] // CmdDT
    [InlineData("12 01 81 00 24 00")] // no such page
    [InlineData("1A 00 C8 00 FF 00")] // saved values
    [InlineData("1A 00 FF 00 FF 00")]
    [InlineData("1A 00 0A 00 FF 00")] // no such page
    [InlineData("1A 00 08 05 FF 00")] // no such subpage
    [InlineData("5A 08 0A 05 00 00 00 02 00 00")] // what Linux 6.12 tries
    [InlineData("9E 12 00 00 00 00 00 00 00 00 00 00 00 20 00 00")] // GET LBA STATUS
    [InlineData("A0 00 03 00 00 00 00 00 10 00 00 00")]
    public void A_field_without_meaning_is_refused(string cdb)
    {
        using var guest = Guest();
        var (result, data) = guest.Receive(cdb, 512);
        Assert.Equal(ScsiResult.Check(new ScsiSense(5, 0x24, 0)), result);
        Assert.All(data, left => Assert.Equal(0xFF, left));
    }

    [Theory]
    [InlineData("A3 0C 00 00 00 00 00 00 00 00 00 00")] // REPORT SUPPORTED OPERATION CODES
    [InlineData("5E 00 00 00 00 00 00 00 08 00")] // PERSISTENT RESERVE IN
    [InlineData("5F 00 00 00 00 00 00 00 18 00")]
    [InlineData("15 10 00 00 18 00")] // MODE SELECT
    [InlineData("04 00 00 00 00 00")] // FORMAT UNIT
    [InlineData("7F 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00")]
    [InlineData("FF")]
    public void An_unknown_command_is_refused(string cdb)
    {
        using var guest = Guest();
        Assert.Equal(ScsiResult.Check(new ScsiSense(5, 0x20, 0)), guest.Receive(cdb, 512).Result);
    }

    [Fact]
    public void The_list_of_pages_is_ascending_and_every_page_in_it_is_answered()
    {
        using var guest = Guest();
        Assert.Equal(Convert.FromHexString("000000060080" + "83B0B1B2"), guest.Get("12 01 00 00 FF 00", 255));
        foreach (var page in new byte[] { 0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2 })
        {
            var answer = guest.Get($"12 01 {page:X2} 00 FF 00", 255);
            Assert.Equal(page, answer[1]);
            Assert.Equal(answer.Length - 4, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2)));
        }
    }

    [Fact]
    public void The_serial_number_and_the_names_come_from_the_identity()
    {
        using var guest = Guest();
        Assert.Equal("00112233445566778899aabbccddeeff", Encoding.ASCII.GetString(guest.Get("12 01 80 00 FF 00", 255)[4..]));

        var names = guest.Get("12 01 83 00 FF 00", 255);
        Assert.Equal("0103001060022483445566778899AABBCCDDEEFF", Convert.ToHexString(names[4..24]));
        Assert.Equal("02010028", Convert.ToHexString(names[24..28]));
        Assert.Equal("Msft    00112233445566778899aabbccddeeff", Encoding.ASCII.GetString(names[28..]));
    }

    [Fact]
    public void The_limits_of_a_512e_disk_are_in_blocks_of_512()
    {
        using var guest = Guest();
        var page = guest.Get("12 01 B0 00 FF 00", 255);
        Assert.Equal(64, page.Length);
        Assert.Equal(8, Word(page, 6)); // physical over logical
        Assert.Equal(2048u, Double(page, 8)); // 1 MiB
        Assert.Equal(2048u, Double(page, 12));
        Assert.Equal(2097152u, Double(page, 20)); // 1 GiB
        Assert.Equal(256u, Double(page, 24));
        Assert.Equal(2048u, Double(page, 28)); // 1 MiB
        Assert.Equal(0x8000_0000u, Double(page, 32));
        Assert.Equal(131072u, Double(page, 40)); // 64 MiB
    }

    [Fact]
    public void The_limits_of_a_4Kn_disk_are_in_blocks_of_4096()
    {
        using var guest = new ScsiInitiator(new ScsiTestDevice(1 << 20, 4096), Id, maxTransferBytes: 256 << 10);
        var page = guest.Get("12 01 B0 00 FF 00", 255);
        Assert.Equal(1, Word(page, 6));
        Assert.Equal(64u, Double(page, 8));
        Assert.Equal(256u, Double(page, 28));
    }

    [Fact]
    public void The_medium_does_not_rotate_and_is_provisioned_thinly()
    {
        using var guest = Guest();
        Assert.Equal(1, Word(guest.Get("12 01 B1 00 FF 00", 255), 4));
        Assert.Equal("00B2000400E00200", Convert.ToHexString(guest.Get("12 01 B2 00 FF 00", 255)));
    }

    [Theory]
    [InlineData(512, 4096, "00000000000007FF" + "00000200" + "00" + "03" + "8000")]
    [InlineData(512, 512, "00000000000007FF" + "00000200" + "00" + "00" + "8000")]
    [InlineData(4096, 4096, "00000000000000FF" + "00001000" + "00" + "00" + "8000")]
    public void Capacity_tells_the_last_block_and_both_sizes(int logical, int physical, string expected)
    {
        using var guest = new ScsiInitiator(new ScsiTestDevice(1 << 20, logical, physical));
        var answer = guest.Get("9E 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", 32);
        Assert.Equal(expected.PadRight(64, '0'), Convert.ToHexString(answer));
        Assert.Equal(expected[8..24], Convert.ToHexString(guest.Get("25 00 00 00 00 00 00 00 00 00", 8)));
    }

    [Fact]
    public void Capacity_10_of_a_disk_too_large_for_it_says_so()
    {
        using var guest = new ScsiInitiator(new ScsiHugeDevice(3L << 40));
        Assert.Equal("FFFFFFFF00000200", Convert.ToHexString(guest.Get("25 00 00 00 00 00 00 00 00 00", 8)));
        Assert.Equal("000000017FFFFFFF", Convert.ToHexString(guest.Get("9E 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", 32))[..16]);
    }

    [Theory]
    [InlineData("1A 00 08 00 FF 00", "17001000" + "08120400000000000000000000000000000000" + "00")]
    [InlineData("1A 00 3F 00 FF 00", "17001000" + "08120400000000000000000000000000000000" + "00")]
    [InlineData("1A 00 3F FF FF 00", "17001000" + "08120400000000000000000000000000000000" + "00")]
    [InlineData("1A 00 88 00 FF 00", "17001000" + "08120400000000000000000000000000000000" + "00")] // default values
    [InlineData("1A 00 48 00 FF 00", "17001000" + "08120000000000000000000000000000000000" + "00")] // nothing can be changed
    [InlineData("5A 00 08 00 00 00 00 00 FF 00", "001A001000000000" + "08120400000000000000000000000000000000" + "00")]
    [InlineData("1A 00 3F 00 04 00", "17001000")]
    public void Mode_sense_has_the_caching_page(string cdb, string expected)
    {
        using var guest = Guest();
        Assert.Equal(expected, Convert.ToHexString(guest.Get(cdb, 255)));
    }

    [Fact]
    public void A_read_only_disk_says_so_in_mode_sense()
    {
        using var guest = new ScsiInitiator(new ScsiTestDevice(1 << 20, isReadOnly: true));
        Assert.Equal(0x90, guest.Get("1A 00 3F 00 04 00", 4)[2]);
        Assert.Equal(0x90, guest.Get("5A 00 3F 00 00 00 00 00 08 00", 8)[3]);
    }

    [Theory]
    [InlineData("00 00 00 00 00 00")] // TEST UNIT READY
    [InlineData("1E 00 00 00 01 00")] // PREVENT
    [InlineData("2B 00 00 00 00 01 00 00 00 00")] // SEEK
    [InlineData("2F 00 00 00 00 01 00 00 01 00")] // VERIFY
    [InlineData("1B 00 00 00 01 00")] // START
    public void A_command_that_only_asks_is_good(string cdb)
    {
        using var guest = Guest();
        Assert.Equal(ScsiResult.Good(), guest.Send(cdb));
    }

    [Fact]
    public void There_is_no_sense_to_request_while_nothing_is_pending()
    {
        using var guest = Guest();
        Assert.Equal("70000000000000" + "0A" + "00000000000000000000", Convert.ToHexString(guest.Get("03 00 00 00 FF 00", 255)));
        Assert.Equal("7200000000000000", Convert.ToHexString(guest.Get("03 01 00 00 FF 00", 255)));
    }

    [Fact]
    public void Sense_has_its_key_and_codes_where_they_belong()
    {
        var bytes = new byte[18];
        bytes.AsSpan().Fill(0xFF);
        ScsiSense.CapacityChanged.WriteFixed(bytes);
        Assert.Equal("70000600000000" + "0A" + "00000000" + "2A09" + "00000000", Convert.ToHexString(bytes));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public void A_command_shorter_than_its_group_is_refused(int length)
    {
        using var guest = Guest();
        Assert.Equal(ScsiResult.Check(new ScsiSense(5, 0x24, 0)), guest.Send("28 00 00 00 00 00 00 00 01 00"[..((length * 3) - 1)]));
    }

    private static ScsiInitiator Guest() => new(new ScsiTestDevice(1 << 20), Id);

    private static int Word(byte[] page, int at) => BinaryPrimitives.ReadUInt16BigEndian(page.AsSpan(at));

    private static uint Double(byte[] page, int at) => BinaryPrimitives.ReadUInt32BigEndian(page.AsSpan(at));
}
