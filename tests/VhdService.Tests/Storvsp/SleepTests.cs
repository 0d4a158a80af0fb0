using System.Diagnostics;
using VhdService.Testing;

namespace VhdService.Tests.Storvsp;

/// <summary>A host on threads of its own, which sleeps when it may, beside a guest that signals only when it must: whatever falls between whatever, nothing waits for ever.</summary>
public sealed class SleepTests : IAsyncDisposable
{
    private static readonly TimeSpan Ever = TimeSpan.FromMinutes(1);

    private readonly ThreadedWorld _world = new();
    private readonly RamDevice _device = new(4 << 20);
    private readonly HostMachine _machine;

    public SleepTests()
    {
        _machine = new HostMachine(_world);
        _machine.Target.Attach(0, _device);
    }

    [Theory]
    [InlineData(1, 1000)]
    [InlineData(2, 2000)]
    [InlineData(5, 2000)]
    public void Requests_are_answered_however_they_fall_between_the_hosts_looks(int depth, int rounds) => Exchange(32, depth, rounds);

    [Theory]
    [InlineData(60, 1000)]
    [InlineData(150, 400)]
    public void Answers_that_wait_for_room_are_sent_when_the_guest_has_made_it(int depth, int rounds) => Exchange(2, depth, rounds);

    public async ValueTask DisposeAsync()
    {
        await _machine.DisposeAsync();
        await _device.DisposeAsync();
        _world.Dispose();
    }

    private void Exchange(int incomingPages, int depth, int rounds)
    {
        var driver = new GuestStorvsc(GuestChannel.Open(_machine.Guest, _machine.Boot(), outgoingPages: 16, incomingPages));
        driver.Initialize();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < depth; i++)
            {
                driver.Submit(new byte[6]);
            }

            var start = Stopwatch.GetTimestamp();
            while (driver.TryTake() is not null || driver.Outstanding > 0)
            {
                Assert.True(Stopwatch.GetElapsedTime(start) < Ever, $"{driver.Outstanding} requests of round {round} are not answered.");
            }
        }

        Assert.Empty(_machine.Complaints);
    }
}
