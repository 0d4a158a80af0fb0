using System.Diagnostics;
using VhdService.HyperV;
using VhdService.Testing;

namespace VhdService.Tests.HyperV;

public sealed class SynicTests : IDisposable
{
    private const int Sint = 2;

    private readonly PumpedWorld _world = new(1);
    private readonly GuestRam _ram = new(64, seed: 1);
    private readonly FakeProcessors _processors;

    public SynicTests()
    {
        _processors = new FakeProcessors(_ram, _world, 2);
        _processors.Boot();
    }

    private HypervPartition Partition => _processors.Partition;

    [Fact]
    public void A_message_lies_in_its_slot_as_the_guest_reads_it()
    {
        byte[] payload = [.. Enumerable.Range(1, 240).Select(i => (byte)i)];
        Assert.True(Partition.TryPostMessage(0, Sint, 1, payload));
        var slot = _ram.Page(_processors.MessagePages[0]).Slice(512, 256);
        Assert.Equal([1, 0, 0, 0, 240, 0, 0, 0], slot[..8].ToArray());
        Assert.Equal(new byte[8], slot[8..16].ToArray());
        Assert.Equal(payload, slot[16..].ToArray());
        Assert.Equal(1, _processors.Interrupts(0));
        Assert.Equal(0, _processors.Interrupts(1));
    }

    [Fact]
    public void A_busy_slot_is_marked_and_the_end_of_message_brings_the_next()
    {
        Post(0, 1);
        Assert.False(_processors.IsMorePending(0));
        Post(0, 2);
        Assert.True(_processors.IsMorePending(0));
        Assert.Equal(1, _processors.Interrupts(0));
        Assert.Equal(1, Take());
        Assert.Equal(2, Take());
        Assert.Equal(2, _processors.Interrupts(0));
        Assert.Null(_processors.TryTakeMessage(0));
    }

    [Fact]
    public void A_message_that_comes_after_the_slot_is_free_needs_no_end_of_message()
    {
        Post(0, 1);
        _processors.FreeSlot(0);
        Post(0, 2); // between the guest's freeing of the slot and its look at the flag
        Assert.False(_processors.IsMorePending(0));
        _processors.EndMessageIfPending(0);
        Assert.Equal(2, _processors.PeekMessage(0)![0]);
        Assert.Equal(2, _processors.Interrupts(0));
    }

    [Fact]
    public void A_message_that_comes_before_the_slot_is_free_is_seen_by_the_guest_s_look_at_the_flag()
    {
        Post(0, 1);
        Post(0, 2);
        _processors.FreeSlot(0);
        Assert.True(_processors.IsMorePending(0));
        Assert.Null(_processors.PeekMessage(0)); // nobody delivers before the end of message
        _processors.EndMessageIfPending(0);
        Assert.Equal(2, _processors.PeekMessage(0)![0]);
    }

    [Fact]
    public void A_guest_that_forgets_the_end_of_message_waits_ten_milliseconds()
    {
        Post(0, 1);
        Post(0, 2);
        _processors.FreeSlot(0);
        _world.Advance(TimeSpan.FromMilliseconds(9));
        Assert.Null(_processors.PeekMessage(0));
        _world.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(2, _processors.PeekMessage(0)![0]);
    }

    [Fact]
    public void Several_that_wait_say_so_each_time()
    {
        for (byte number = 1; number <= 5; number++)
        {
            Post(0, number);
        }

        Assert.Equal([1, 2, 3, 4, 5], Enumerable.Range(0, 5).Select(_ => Take()));
        Assert.Equal(5, _processors.Interrupts(0));
    }

    [Theory]
    [InlineData(0x40000080)]
    [InlineData(0x40000083)]
    public void Messages_wait_until_the_guest_is_ready(uint register)
    {
        var enabled = _processors.ReadMsr(0, register);
        _processors.WriteMsr(0, register, 0);
        Post(0, 7);
        Assert.Null(_processors.PeekMessage(0));
        Assert.Equal(0, _processors.Interrupts(0));
        _processors.WriteMsr(0, register, enabled);
        Assert.Equal(7, _processors.PeekMessage(0)![0]);
        Assert.Equal(1, _processors.Interrupts(0));
    }

    [Fact]
    public void A_masked_SINT_gets_the_message_and_no_interrupt()
    {
        _processors.WriteMsr(0, 0x40000092, 0x100F3);
        Post(0, 7);
        Assert.Equal(7, _processors.PeekMessage(0)![0]);
        Assert.Equal(0, _processors.Interrupts(0));
    }

    [Fact]
    public void A_polled_SINT_gets_no_interrupt()
    {
        _processors.WriteMsr(0, 0x40000092, 0x400F3);
        Post(0, 7);
        Assert.True(Partition.SignalFlag(0, Sint, 5) is false);
        Assert.Equal(0, _processors.Interrupts(0));
        Assert.True(_processors.TakeEvent(0, 5));
    }

    [Fact]
    public void Nothing_is_written_into_a_page_that_was_taken_away()
    {
        _processors.WriteMsr(0, 0x40000083, 0);
        _processors.WriteMsr(0, 0x40000082, 0);
        _ram.Page(_processors.MessagePages[0]).Fill(0xAA);
        Post(0, 7);
        Partition.SignalFlag(0, Sint, 5);
        _world.Advance(TimeSpan.FromSeconds(1));
        Assert.False(_ram.Page(_processors.MessagePages[0]).ContainsAnyExcept((byte)0xAA));
        Assert.Equal(0, _processors.Interrupts(0));
    }

    [Fact]
    public void The_queue_is_bounded_and_says_no()
    {
        var posted = 0;
        while (Partition.TryPostMessage(0, Sint, 1, [(byte)posted]))
        {
            posted++;
            Assert.InRange(posted, 0, 1000);
        }

        for (var i = 0; i < posted; i++)
        {
            Assert.Equal((byte)i, Take());
        }

        Assert.Null(_processors.TryTakeMessage(0));
        Assert.True(Partition.TryPostMessage(0, Sint, 1, [1]));
    }

    [Fact]
    public void A_flag_interrupts_once_until_the_guest_takes_it()
    {
        Assert.True(Partition.SignalFlag(1, Sint, 2047));
        Assert.False(Partition.SignalFlag(1, Sint, 2047));
        Assert.Equal(1, _processors.Interrupts(1));
        Assert.True(_processors.TakeEvent(1, 2047));
        Assert.False(_processors.TakeEvent(1, 2047));
        Assert.True(Partition.SignalFlag(1, Sint, 2047));
        Assert.Equal(2, _processors.Interrupts(1));
    }

    /// <summary>
    /// The second message is posted while the guest frees the slot of the first, and nothing more is posted until it has come. No retry helps: time stands
    /// still. If both sides miss each other once, the guest waits for ever.
    /// </summary>
    [Fact]
    public async Task A_message_that_is_posted_while_its_slot_is_being_freed_is_not_lost()
    {
        const int Rounds = 20_000;
        var round = 0;
        var isOver = false;
        var sender = Task.Run(() =>
        {
            for (var number = 0; number < Rounds; number++)
            {
                for (var spins = 0; Volatile.Read(ref round) < number && !Volatile.Read(ref isOver); spins++)
                {
                    if (spins > 2000)
                    {
                        Thread.Yield();
                    }
                }

                Partition.TryPostMessage(0, Sint, 1, [1]);
                Thread.SpinWait(number % 40);
                Partition.TryPostMessage(0, Sint, 1, [2]);
            }
        });
        try
        {
            for (var number = 0; number < Rounds; number++)
            {
                Volatile.Write(ref round, number);
                Receive(1, number);
                Receive(2, number);
            }
        }
        finally
        {
            Volatile.Write(ref isOver, true);
        }

        await sender;
    }

    public void Dispose()
    {
        _processors.Dispose();
        _ram.Dispose();
    }

    private void Post(int processor, byte number) => Assert.True(Partition.TryPostMessage(processor, Sint, 1, [number]));

    private void Receive(int expected, int round)
    {
        var start = Stopwatch.GetTimestamp();
        for (var spins = 0; ; spins++)
        {
            if (_processors.TryTakeMessage(0) is { } message)
            {
                Assert.Equal(expected, message[0]);
                return;
            }

            if (spins > 2000)
            {
                Assert.True(Stopwatch.GetElapsedTime(start) < GuestBus.Patience, $"message {expected} of round {round} does not come");
                Thread.Yield();
            }
        }
    }

    private int Take() => _processors.TryTakeMessage(0) is { } message ? message[0] : -1;
}
