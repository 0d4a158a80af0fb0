using System.Buffers.Binary;
using VhdService.Testing;

namespace VhdService.Tests.Vmbus;

public sealed class GpadlTests : IAsyncDisposable
{
    private const uint Ok = 0;
    private const uint Invalid = 0xC000000D;
    private const uint NoResources = 0xC000009A;

    private readonly HostMachine _machine = new(new PumpedWorld(5), ramPages: 12_000);
    private readonly uint _relid;

    public GpadlTests() => _relid = _machine.Boot().Relid;

    private GuestBus Guest => _machine.Guest;

    [Theory]
    [InlineData(4)]    // one message
    [InlineData(26)]
    [InlineData(27)]   // two
    [InlineData(54)]
    [InlineData(55)]   // three
    [InlineData(64)]   // as Linux
    [InlineData(1024)]
    [InlineData(8190)] // as many as the length can say
    public void Rings_may_come_in_any_number_of_messages(int pageCount)
    {
        var pages = _machine.Ram.Allocate(pageCount);
        var gpadl = Guest.CreateGpadl(_relid, pages);
        Assert.Equal(Ok, Guest.Open(_relid, gpadl, (uint)pageCount / 2));
        Guest.Close(_relid);
        Guest.TearDownGpadl(_relid, gpadl);
        Assert.Empty(_machine.Complaints);
    }

    [Fact]
    public void Many_ranges_are_taken_but_are_no_rings()
    {
        var ranges = Range(3, 0).Concat(Range(2, 100, byteCount: 5000)).Concat(Range(1, 4095, byteCount: 1)).ToArray();
        var (gpadl, status) = Guest.TryCreateGpadl(_relid, ranges, 3);
        Assert.Equal(Ok, status);
        Assert.Equal(Invalid, Guest.Open(_relid, gpadl, 2));
        Guest.TearDownGpadl(_relid, gpadl);
    }

    [Theory]
    [InlineData("no range", 0, 0, 0)]
    [InlineData("ranges of nothing", 0, 1, 0)]
    [InlineData("too many ranges", 4, 17, 16384)]
    [InlineData("a page too few", 4, 1, 16385)]
    [InlineData("a page too many", 4, 1, 12288)]
    [InlineData("a second range that does not come", 4, 2, 16384)]
    [InlineData("no bytes", 1, 1, 0)]
    [InlineData("more bytes than can be", 4, 1, -1)]
    public void Lists_that_contradict_themselves_are_refused(string what, int pageCount, int rangeCount, int byteCount)
    {
        Assert.NotEmpty(what);
        var ranges = pageCount == 0 ? [] : Range(pageCount, 0, (uint)byteCount);
        Assert.Equal(Invalid, Guest.TryCreateGpadl(_relid, ranges, rangeCount).Status);
        Assert.Equal(Ok, Guest.TryCreateGpadl(_relid, Range(1, 0), 1).Status);
    }

    [Theory]
    [InlineData(4096u)]
    [InlineData(uint.MaxValue)]
    public void An_offset_behind_the_first_page_is_refused(uint byteOffset) =>
        Assert.Equal(Invalid, Guest.TryCreateGpadl(_relid, Range(4, byteOffset, 1), 1).Status);

    [Theory]
    [InlineData(12_000UL)]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 52)]
    [InlineData((1UL << 52) - 1)]
    public void Pages_outside_memory_are_refused(ulong page)
    {
        var pages = _machine.Ram.Allocate(4);
        pages[3] = page;
        Assert.Equal(Invalid, Guest.TryCreateGpadl(_relid, GuestBus.Range(4 * 4096, 0, pages), 1).Status);
    }

    [Fact]
    public void A_length_that_is_no_multiple_of_eight_is_refused()
    {
        var header = Header(0x1234, rangeBufferLength: 17, rangeCount: 1, Range(1, 0));
        Guest.Post(header);
        Assert.Equal(Invalid, GuestBus.Get(Guest.WaitFor(10), 16));
    }

    [Fact]
    public void More_words_than_announced_are_refused_in_the_first_message()
    {
        Guest.Post(Header(0x1234, rangeBufferLength: 16, rangeCount: 1, Range(2, 0)));
        Assert.Equal(Invalid, GuestBus.Get(Guest.WaitFor(10), 16));
    }

    [Fact]
    public void More_words_than_announced_are_refused_in_a_later_message_and_the_list_is_gone()
    {
        var ranges = Range(30, 0);
        Guest.Post(Header(0x1234, rangeBufferLength: ranges.Length, rangeCount: 1, ranges.AsSpan(0, 8 + (26 * 8))));
        Guest.Post(Body(0x1234, new byte[5 * 8]));
        Assert.Equal(Invalid, GuestBus.Get(Guest.WaitFor(10), 16));
        Guest.Post(Body(0x1234, new byte[4 * 8]));
        _machine.Pump();
        Guest.Poll();
        Assert.Empty(Guest.Waiting);
    }

    [Fact]
    public void Words_that_are_not_whole_are_refused()
    {
        var ranges = Range(30, 0);
        Guest.Post(Header(0x1234, rangeBufferLength: ranges.Length, rangeCount: 1, ranges.AsSpan(0, 8 + (26 * 8))));
        Guest.Post(Body(0x1234, new byte[12]));
        Assert.Equal(Invalid, GuestBus.Get(Guest.WaitFor(10), 16));
    }

    [Fact]
    public void An_id_that_is_in_use_is_refused_and_what_has_it_stays()
    {
        var pages = _machine.Ram.Allocate(8);
        var gpadl = Guest.CreateGpadl(_relid, pages);
        Guest.PostGpadl(_relid, gpadl, Range(1, 0), 1);
        Assert.Equal(Invalid, GuestBus.Get(Guest.WaitFor(10), 16));
        Assert.Equal(Ok, Guest.Open(_relid, gpadl, 4));
    }

    [Fact]
    public void Two_lists_may_come_interleaved()
    {
        var first = Range(30, 0);
        var second = Range(40, 0);
        Guest.Post(Header(1, first.Length, 1, first.AsSpan(0, 216)));
        Guest.Post(Header(2, second.Length, 1, second.AsSpan(0, 216)));
        Guest.Post(Body(2, second[216..]));
        Assert.Equal(2u, GuestBus.Get(Guest.WaitFor(10), 12));
        Guest.Post(Body(1, first[216..]));
        Assert.Equal(1u, GuestBus.Get(Guest.WaitFor(10), 12));
    }

    [Fact]
    public void A_channel_that_is_not_offered_has_no_pages()
    {
        foreach (var relid in new uint[] { 0, 2, 2047, 2048, uint.MaxValue })
        {
            Assert.Equal(Invalid, Guest.TryCreateGpadl(relid, Range(1, 0), 1).Status);
        }
    }

    [Fact]
    public void Lists_are_limited_in_number_and_all_of_them_can_be_given_back()
    {
        var ids = new List<uint>();
        uint status;
        while (true)
        {
            (var id, status) = Guest.TryCreateGpadl(_relid, Range(1, 0, page: 5), 1);
            if (status != Ok)
            {
                break;
            }

            ids.Add(id);
        }

        Assert.Equal(NoResources, status);
        Assert.Equal(1024, ids.Count);
        foreach (var id in ids)
        {
            Guest.TearDownGpadl(_relid, id);
        }

        Assert.Equal(Ok, Guest.TryCreateGpadl(_relid, Range(1, 0), 1).Status);
    }

    [Fact]
    public void Lists_are_limited_in_words_even_when_they_never_come()
    {
        uint id = 1;
        for (; id < 100; id++)
        {
            Guest.Post(Header(id, 65528, 1, new byte[8]));
            _machine.Pump();
            Guest.Poll();
            if (Guest.Waiting.Count > 0)
            {
                break;
            }
        }

        Assert.Equal(NoResources, GuestBus.Get(Guest.WaitFor(10), 16));
        Assert.InRange(id, 16u, 20u); // 128 Ki words
        Guest.Connect();
        Guest.RequestOffers();
        Assert.Equal(Ok, Guest.TryCreateGpadl(Guest.Offers[0].Relid, Range(4, 0), 1).Status);
    }

    [Fact]
    public void Tearing_down_what_is_not_there_is_ignored()
    {
        Guest.PostTearDown(_relid, 0x4711);
        _machine.Pump();
        Assert.Null(Guest.TryTake(12));
        Assert.Single(_machine.Complaints);
    }

    public ValueTask DisposeAsync() => _machine.DisposeAsync();

    private static byte[] Header(uint gpadl, int rangeBufferLength, int rangeCount, ReadOnlySpan<byte> ranges)
    {
        var message = GuestBus.Message(8, 20 + ranges.Length);
        GuestBus.Put(message, 8, 1);
        GuestBus.Put(message, 12, gpadl);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(16), (ushort)rangeBufferLength);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(18), (ushort)rangeCount);
        ranges.CopyTo(message.AsSpan(20));
        return message;
    }

    private static byte[] Body(uint gpadl, byte[] words)
    {
        var message = GuestBus.Message(9, 16 + words.Length);
        GuestBus.Put(message, 12, gpadl);
        words.CopyTo(message, 16);
        return message;
    }

    private byte[] Range(int pageCount, uint byteOffset, uint? byteCount = null, ulong? page = null) => GuestBus.Range(
        byteCount ?? (uint)pageCount * 4096,
        byteOffset,
        page is { } one ? [one] : _machine.Ram.Allocate(pageCount));
}
