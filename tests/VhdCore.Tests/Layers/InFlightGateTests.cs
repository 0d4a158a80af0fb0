using VhdCore.Layers;
using VhdCore.Testing;

namespace VhdCore.Tests.Layers;

public class InFlightGateTests
{
    [Fact]
    public void What_was_unpublished_is_not_drained_while_an_older_ticket_is_out()
    {
        var gate = new InFlightGate();
        Assert.True(gate.TryEnter(out var reader));
        var tag = gate.Epoch;

        Assert.False(gate.IsDrained(tag));
        Assert.True(gate.TryEnter(out var later)); // a new ticket does not hold the old tag back
        gate.Exit(reader);

        Assert.True(gate.IsDrained(tag));
        gate.Exit(later);
    }

    [Fact]
    public void A_ticket_holds_back_every_tag_made_after_it()
    {
        var gate = new InFlightGate();
        Assert.True(gate.IsDrained(gate.Epoch));
        Assert.True(gate.TryEnter(out var ticket));
        for (var i = 0; i < 5; i++)
        {
            Assert.False(gate.IsDrained(gate.Epoch));
        }

        gate.Exit(ticket);
        Assert.True(gate.IsDrained(gate.Epoch));
    }

    [Fact]
    public async Task Closing_waits_for_tickets_and_gives_no_more()
    {
        var gate = new InFlightGate();
        Assert.True(gate.TryEnter(out var ticket));
        var closing = gate.CloseAsync().AsTask();

        Assert.False(gate.TryEnter(out _));
        Assert.False(closing.IsCompleted);
        await Task.Run(() => gate.Exit(ticket));
        await closing.WaitAsync(Patience.Hang);
    }

    [Fact]
    public async Task Nobody_sees_a_place_that_was_reused_while_they_held_a_ticket()
    {
        // One cell is published, unpublished, and poisoned once the gate says that nobody can see it any more.
        const int Readers = 3;
        var gate = new InFlightGate();
        var current = new Place();
        var stop = false;
        long seen = 0;
        var readers = Enumerable.Range(0, Readers).Select(_ => Task.Run(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                Assert.True(gate.TryEnter(out var ticket));
                var place = Volatile.Read(ref current);
                for (var i = 0; i < 20; i++)
                {
                    Assert.False(place.IsPoisoned);
                }

                gate.Exit(ticket);
                Interlocked.Increment(ref seen);
            }
        })).ToArray();

        var retired = new Queue<(Place Place, long Epoch)>();
        var reused = 0;
        for (var i = 0; i < 200_000 && reused < 20_000; i++)
        {
            var old = Interlocked.Exchange(ref current, new Place());
            retired.Enqueue((old, gate.Epoch));
            while (retired.TryPeek(out var next) && gate.IsDrained(next.Epoch))
            {
                retired.Dequeue();
                next.Place.IsPoisoned = true;
                reused++;
            }

            if (i % 1000 == 0)
            {
                await Task.Yield();
            }
        }

        Volatile.Write(ref stop, true);
        await Task.WhenAll(readers).WaitAsync(Patience.Hang);
        Assert.True(reused > 0 && seen > 0, $"{reused} reused, {seen} looks");
    }

    private sealed class Place
    {
        public volatile bool IsPoisoned;
    }
}
