using VhdService.Vmbus.Wire;

namespace VhdService.Tests.Vmbus;

/// <summary>Bytes of control messages as guests and the tables of the protocol have them.</summary>
public sealed class WireTests
{
    [Fact]
    public void An_offer_is_196_bytes_with_every_field_in_its_place()
    {
        var message = HostMessages.OfferChannel(
            new Guid("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"), new Guid("03020100-0504-0706-0809-0a0b0c0d0e0f"), 3, 0x0708, 0x2708);
        var expected = new byte[196];
        expected[0] = 1;
        Convert.FromHexString("d96361baa104294db60572e2ffb1dc7f").CopyTo(expected, 8);
        Convert.FromHexString("000102030405060708090a0b0c0d0e0f").CopyTo(expected, 24);
        expected[180] = 3;
        expected[184] = 0x08;
        expected[185] = 0x07;
        expected[190] = 1; // dedicated interrupt
        expected[192] = 0x08;
        expected[193] = 0x27;
        Assert.Equal(expected, message);
    }

    [Fact]
    public void Answers_have_the_sizes_of_the_traces()
    {
        Assert.Equal("0f000000000000000100000004000000", Hex(HostMessages.VersionResponse(true, 4)));
        Assert.Equal("0f000000000000000000000000000000", Hex(HostMessages.VersionResponse(false, 0)));
        Assert.Equal("0400000000000000", Hex(HostMessages.AllOffersDelivered()));
        Assert.Equal("020000000000000007000000", Hex(HostMessages.RescindChannelOffer(7)));
        Assert.Equal("0a00000000000000" + "01000000" + "101e0e00" + "00000000", Hex(HostMessages.GpadlCreated(1, 0xE1E10, 0)));
        Assert.Equal("0600000000000000" + "01000000" + "02000000" + "0d0000c0", Hex(HostMessages.OpenChannelResult(1, 2, HostMessages.InvalidParameter)));
        Assert.Equal("0c00000000000000" + "101e0e00", Hex(HostMessages.GpadlTorndown(0xE1E10)));
        Assert.Equal("1100000000000000", Hex(HostMessages.UnloadResponse()));
        Assert.Equal("1800000000000000" + "01000000" + "00000000", Hex(HostMessages.ModifyChannelResponse(1, 0)));
    }

    [Fact]
    public void The_guest_s_messages_are_read_where_Linux_writes_them()
    {
        var contact = new InitiateContactView(Convert.FromHexString(
            "0e00000000000000" + "03000500" + "01000000" + "0200000000000000" + "0010000000000000" + "0020000000000000"));
        Assert.Equal(VmbusVersion.V5_3, contact.Version);
        Assert.Equal(1u, contact.TargetProcessor);
        Assert.Equal((2, 0), (contact.Sint, contact.Vtl));

        var open = new OpenChannelView(Convert.FromHexString(
            "0500000000000000" + "01000000" + "02000000" + "101e0e00" + "03000000" + "20000000" + new string('0', 240)));
        Assert.Equal((1u, 2u, 0xE1E10u, 3u, 32u), (open.Relid, open.OpenId, open.RingGpadl, open.TargetProcessor, open.DownstreamPageOffset));

        var header = new GpadlHeaderView(Convert.FromHexString(
            "0800000000000000" + "01000000" + "101e0e00" + "0802" + "0100" + "0000040000000000" + "1100000000000000"));
        Assert.Equal((1u, 0xE1E10u, 520, 1), (header.Relid, header.Gpadl, header.RangeBufferLength, header.RangeCount));
        Assert.Equal(16, header.Ranges.Length);

        var body = new GpadlBodyView(Convert.FromHexString("0900000000000000" + "00000000" + "101e0e00" + "1100000000000000"));
        Assert.Equal(0xE1E10u, body.Gpadl);
        Assert.Equal(8, body.Ranges.Length);

        var modify = new ModifyChannelView(Convert.FromHexString("1600000000000000" + "01000000" + "05000000"));
        Assert.Equal((1u, 5u), (modify.Relid, modify.TargetProcessor));
    }

    [Fact]
    public void A_packet_s_descriptor_counts_in_words_of_eight_bytes()
    {
        var bytes = Convert.FromHexString("0900" + "0400" + "0c00" + "0100" + "fdffffffffffffff");
        var descriptor = PacketDescriptor.Read(bytes);
        Assert.Equal(new PacketDescriptor(PacketType.DataUsingGpaDirect, 32, 96, true, 0xFFFFFFFFFFFFFFFD), descriptor);
        var written = new byte[16];
        descriptor.Write(written);
        Assert.Equal(bytes, written);
    }

    [Fact]
    public void Versions_are_offered_from_3_0_to_5_3() =>
        Assert.Equal(["3.0", "4.0", "4.1", "5.0", "5.1", "5.2", "5.3"], VmbusVersion.Supported.Select(version => version.ToString()));

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
