using VhdCore.Errors;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Crash;
using VhdCore.Testing.Independent;

namespace VhdCore.Simulation.Vhdx;

/// <summary>Holds what a cut has left of a VHDX against the durability contract: by the independent reader, which replays the log itself, and by the library.</summary>
internal static class VhdxCutChecker
{
    private const int FirstDataOffset = 4 << 20; // bytes

    public static byte[] Check(CrashWorld left, bool isDifferencing, SectorOracle oracle)
    {
        var content = ReadPlain(left, isDifferencing);
        CutChecker.JudgeContent(content, "the independent reader", oracle);
        var own = ReadOwnAsync(left, isDifferencing).AsTask();
        if (!own.IsCompleted)
        {
            throw new SimulationFailure("opening and reading did not end at once");
        }

        CutChecker.JudgeContent(own.GetAwaiter().GetResult(), "the library", oracle);
        return content;
    }

    private static byte[] ReadPlain(CrashWorld left, bool isDifferencing)
    {
        try
        {
            using var leaf = PlainVhdx.Open(Open(left, VhdxPowerCutRun.Leaf));
            RequireSound(leaf);
            using var chain = isDifferencing
                ? PlainVhdxChain.Open(Open(left, VhdxPowerCutRun.Leaf), Open(left, VhdxPowerCutRun.Base))
                : PlainVhdxChain.Open(Open(left, VhdxPowerCutRun.Leaf));
            return VhdxSites.Gather(sector => chain.ReadSector(sector));
        }
        catch (PlainFormatException exception)
        {
            throw new SimulationFailure($"the independent reader refuses the image: {exception.Message}");
        }
    }

    private static void RequireSound(PlainVhdx image)
    {
        var places = new HashSet<long>();
        for (var block = 0; block < VhdxSites.BlockCount; block++)
        {
            var (state, offset) = image.Block(block);
            if (state is 6 or 7 && (offset < FirstDataOffset || !places.Add(offset)))
            {
                throw new SimulationFailure($"block {block} lies at {offset}, in the metadata or in another block");
            }

            if (state is not (6 or 7) && offset != 0)
            {
                throw new SimulationFailure($"block {block} has the state {state} and an offset of {offset}");
            }
        }
    }

    private static StorageStream Open(CrashWorld world, string name) =>
        new(world.OpenAsync(name, StorageOpenOptions.ForReading with { Sharing = StorageSharing.Force }).AsTask().GetAwaiter().GetResult());

    private static async ValueTask<byte[]> ReadOwnAsync(CrashWorld left, bool isDifferencing)
    {
        try
        {
            await using var device = await VhdxPowerCutRun.OpenAsync(left, isDifferencing, isWritable: false);
            return await ReadSitesAsync(device);
        }
        catch (ImageException exception)
        {
            throw new SimulationFailure($"the library does not open the image: {exception.Message}");
        }
    }

    public static async ValueTask<byte[]> ReadSitesAsync(Devices.IBlockDevice device)
    {
        var content = new byte[VhdxSites.Count * SectorOracle.SectorSize];
        using var buffer = new NativeBuffer(VhdxSites.GroupSize * SectorOracle.SectorSize);
        for (var site = 0; site < VhdxSites.Count; site += VhdxSites.GroupSize)
        {
            var status = await device.ReadAsync(VhdxSites.OffsetOf(site), buffer.Buffers);
            if (status != BlockStatus.Ok)
            {
                throw new SimulationFailure($"reading sector {VhdxSites.SectorOf(site)} answers {status}");
            }

            buffer.Span.CopyTo(content.AsSpan(site * SectorOracle.SectorSize));
        }

        return content;
    }
}
