using VhdCore.Errors;
using VhdCore.Storage;

namespace VhdCore.Tests.Storage;

public sealed class FlushSequenceTests
{
    [Fact]
    public void A_failed_flush_is_never_asked_for_again()
    {
        var calls = 0;
        var flushes = new FlushSequence(() => ++calls == 2 ? BlockStatus.NoSpace : BlockStatus.Ok);

        Assert.Equal(BlockStatus.Ok, flushes.Run());
        Assert.False(flushes.HasFailed);
        Assert.Equal(BlockStatus.IoError, flushes.Run());
        Assert.Equal(BlockStatus.IoError, flushes.Run());

        Assert.True(flushes.HasFailed);
        Assert.Equal(2, calls);
    }

    [Fact]
    public void A_failure_met_elsewhere_fails_the_flush_in_flight_and_all_later_ones()
    {
        FlushSequence? flushes = null;
        flushes = new FlushSequence(() =>
        {
            flushes!.Fail();
            return BlockStatus.Ok;
        });

        Assert.Equal(BlockStatus.IoError, flushes.Run());
        Assert.Equal(BlockStatus.IoError, flushes.Run());
    }

    [Fact]
    public async Task Requests_that_come_during_a_flush_share_the_next_one()
    {
        using var first = new SemaphoreSlim(0);
        using var entered = new SemaphoreSlim(0);
        var calls = 0;
        var flushes = new FlushSequence(() =>
        {
            if (Interlocked.Increment(ref calls) == 1)
            {
                entered.Release();
                first.Wait();
            }

            return BlockStatus.Ok;
        });
        var running = Task.Run(flushes.Run);
        await entered.WaitAsync();

        // Each has its number once it waits for its turn; how many have is not to be seen, so those that come late only add calls.
        var waiting = Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(flushes.Run, TaskCreationOptions.LongRunning)).ToArray();
        Assert.DoesNotContain(waiting, task => task.IsCompleted);
        first.Release();

        Assert.Equal(BlockStatus.Ok, await running);
        Assert.All(await Task.WhenAll(waiting), status => Assert.Equal(BlockStatus.Ok, status));
        Assert.InRange(calls, 2, 5); // the first began before they asked, so it covers none of them
    }

    [Fact]
    public async Task What_was_written_before_asking_is_in_the_flush_that_answers()
    {
        long written = 0;
        long durable = 0;
        var flushes = new FlushSequence(() =>
        {
            Volatile.Write(ref durable, Volatile.Read(ref written));
            return BlockStatus.Ok;
        });

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                var mine = Interlocked.Increment(ref written);
                Assert.Equal(BlockStatus.Ok, flushes.Run());
                Assert.True(Volatile.Read(ref durable) >= mine);
            }
        })));
    }
}
