using VhdCore.Devices;
using VhdCore.Operations;

namespace VhdCore.Tests.Operations;

public sealed class MapOperationTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task Neighbours_of_one_kind_are_merged()
    {
        var device = new ArrayDevice(Pattern.Bytes(4 * MiB)).WithZeros(MiB, MiB);
        Assert.Equal([(0L, (long)MiB, false), (MiB, MiB, true), (2 * MiB, 2 * MiB, false)], await RunsAsync(device, 0, null));
    }

    [Fact]
    public async Task A_part_is_cut_to_its_bounds()
    {
        var device = new ArrayDevice(Pattern.Bytes(4 * MiB)).WithZeros(MiB, MiB);
        Assert.Equal([(MiB - 10L, 10L, false), (MiB, 100L, true)], await RunsAsync(device, MiB - 10, 110));
        Assert.Equal([(4 * MiB - 1L, 1L, false)], await RunsAsync(device, (4 * MiB) - 1, long.MaxValue));
        Assert.Empty(await RunsAsync(device, 4 * MiB, null));
        Assert.Empty(await RunsAsync(device, long.MaxValue, 1));
        Assert.Empty(await RunsAsync(device, 5, 0));
    }

    [Fact]
    public async Task What_was_never_there_is_kept_apart_from_an_explicit_zero()
    {
        var device = new ArrayDevice(new byte[2 * MiB]).WithZeros(0, 2 * MiB);
        for (var grain = 1024; grain < 2048; grain++)
        {
            device.AbsentGrains.Add(grain);
        }

        var runs = await RunsAsync(device, 0, null);
        Assert.Equal([(0L, MiB / 2L, true), (MiB / 2L, MiB / 2L, true), (MiB, MiB, true)], runs);
    }

    private static async Task<List<(long, long, bool)>> RunsAsync(ArrayDevice device, long offset, long? length)
    {
        List<(long, long, bool)> runs = [];
        await foreach (BlockRun run in MapOperation.RunAsync(device, offset, length))
        {
            runs.Add((run.Offset, run.Length, run.IsZero));
        }

        return runs;
    }
}
