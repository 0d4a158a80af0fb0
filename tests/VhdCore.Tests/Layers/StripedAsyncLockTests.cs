using VhdCore.Layers;
using VhdCore.Testing;

namespace VhdCore.Tests.Layers;

public class StripedAsyncLockTests
{
    [Fact]
    public async Task Sharers_enter_together_and_an_exclusive_waits_for_all()
    {
        var locks = new StripedAsyncLock();
        Assert.True(IsEntered(locks.EnterSharedAsync(7)));
        Assert.True(IsEntered(locks.EnterSharedAsync(7)));
        var alone = locks.EnterExclusiveAsync(7).AsTask();

        locks.ExitShared(7);
        Assert.False(alone.IsCompleted);
        locks.ExitShared(7);
        await alone.WaitAsync(Patience.Hang);
        locks.ExitExclusive(7);
        Assert.True(IsEntered(locks.EnterSharedAsync(7)));
    }

    [Fact]
    public async Task A_sharer_that_comes_after_a_waiting_exclusive_waits_its_turn()
    {
        var locks = new StripedAsyncLock();
        Assert.True(IsEntered(locks.EnterSharedAsync(1)));
        var alone = locks.EnterExclusiveAsync(1).AsTask();
        var late = locks.EnterSharedAsync(1).AsTask();

        locks.ExitShared(1);
        await alone.WaitAsync(Patience.Hang);
        Assert.False(late.IsCompleted);
        locks.ExitExclusive(1);
        await late.WaitAsync(Patience.Hang);
    }

    [Fact]
    public void Other_blocks_are_not_concerned()
    {
        var locks = new StripedAsyncLock();
        Assert.True(IsEntered(locks.EnterExclusiveAsync(1)));

        Assert.True(IsEntered(locks.EnterExclusiveAsync(2)));
        Assert.False(IsEntered(locks.EnterSharedAsync(1 + StripedAsyncLock.StripeCount)));
    }

    [Fact]
    public async Task Under_contention_exclusives_are_alone_and_nobody_is_lost()
    {
        var locks = new StripedAsyncLock();
        var sharers = 0;
        var exclusives = 0;
        var done = 0;
        var workers = Enumerable.Range(0, 6).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 20_000; i++)
            {
                if (random.Next(4) == 0)
                {
                    await locks.EnterExclusiveAsync(3);
                    Assert.Equal(1, Interlocked.Increment(ref exclusives));
                    Assert.Equal(0, Volatile.Read(ref sharers));
                    Interlocked.Decrement(ref exclusives);
                    locks.ExitExclusive(3);
                }
                else
                {
                    await locks.EnterSharedAsync(3);
                    Interlocked.Increment(ref sharers);
                    Assert.Equal(0, Volatile.Read(ref exclusives));
                    Interlocked.Decrement(ref sharers);
                    locks.ExitShared(3);
                }

                Interlocked.Increment(ref done);
            }
        })).ToArray();

        await Task.WhenAll(workers).WaitAsync(Patience.Hang);
        Assert.Equal(120_000, done);
    }

    private static bool IsEntered(ValueTask entering) => entering.IsCompletedSuccessfully;
}
