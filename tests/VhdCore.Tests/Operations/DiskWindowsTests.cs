using VhdCore.Operations;

namespace VhdCore.Tests.Operations;

public sealed class DiskWindowsTests
{
    private const int Window = 4096;

    [Theory]
    [InlineData(21)]
    [InlineData(22)]
    [InlineData(23)]
    public async Task Windows_tile_the_disk_and_name_every_run_that_is_not_zero(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            var device = new ArrayDevice(new byte[random.Next(0, 200) * 512]);
            for (var i = random.Next(0, 6); i > 0 && device.Length > 0; i--)
            {
                var start = random.Next(0, (int)device.Length / 512);
                device.WithZeros(start * 512L, random.Next(0, ((int)device.Length / 512) - start + 1) * 512L);
            }

            foreach (var maxZero in new[] { Window, 5L * Window, 1L << 60 })
            {
                await CheckAsync(device, maxZero, $"seed {seed}, round {round}, at most {maxZero}");
            }
        }
    }

    [Fact]
    public async Task A_long_run_of_zeros_is_one_window_wherever_it_begins()
    {
        var device = new ArrayDevice(new byte[100 * Window]).WithZeros((3 * Window) + 512, 90 * Window);
        var windows = new DiskWindows(device, device.Length, Window);
        List<DiskWindow> seen = [];
        while (await windows.NextAsync(1L << 60, CancellationToken.None) is { } window)
        {
            seen.Add(window);
        }

        Assert.Contains(new DiskWindow(4 * Window, 89 * Window, seen.First(window => window.IsZero).Data), seen);
        Assert.Equal(1, seen.Count(window => window.IsZero));
    }

    private static async Task CheckAsync(ArrayDevice device, long maxZero, string place)
    {
        var windows = new DiskWindows(device, device.Length, Window);
        long end = 0;
        var named = new bool[device.Length / 512];
        while (await windows.NextAsync(maxZero, CancellationToken.None) is { } window)
        {
            Assert.True(window.Offset == end && window.Offset % Window == 0, place);
            Assert.True(window.Length > 0 && window.Length <= (window.IsZero ? maxZero : Window), place);
            Assert.True(window.Length % Window == 0 || window.End == device.Length, place);
            end = window.End;
            foreach (var range in window.Data)
            {
                Assert.True(range.Offset >= window.Offset && range.Offset + range.Length <= window.End, place);
                named.AsSpan((int)(range.Offset / 512), (int)(range.Length / 512)).Fill(true);
            }
        }

        Assert.True(end == device.Length, place);
        Assert.True(Enumerable.Range(0, named.Length).All(sector => named[sector] != device.ZeroGrains.Contains(sector)), place);
    }
}
