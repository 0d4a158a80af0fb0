using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Crash;

namespace VhdCore.Simulation;

/// <summary>Holds what a cut has left against the durability contract.</summary>
internal static class CutChecker
{
    /// <summary>Opens the image as several kinds of reader would, and judges every sector.</summary>
    /// <returns>The disk's content.</returns>
    /// <exception cref="SimulationFailure">The contract is broken.</exception>
    public static byte[] Check(CrashWorld left, SimulationPlan plan, SectorOracle oracle, byte[]? parent)
    {
        var file = left.GetBytes(SimulationPlan.Leaf);
        var content = Judge(new CutReader(file, FooterTrust.Front), "front footer", oracle, parent, plan);
        Judge(new CutReader(file, FooterTrust.Either), "either footer", oracle, parent, plan);
        if (plan.IsExtensionOrdered)
        {
            Judge(new CutReader(file, FooterTrust.End), "end footer", oracle, parent, plan);
        }

        JudgeContent(AtOnce(ReadAsync(left).AsTask()), "the library", oracle);
        var report = AtOnce(CheckOperation.RunAsync(SimulationPlan.Leaf, resolver: left));
        foreach (var finding in report.Findings)
        {
            // Where the length can outrun the data, the end footer may be missing until the image is opened for writing.
            if (finding.Severity == CheckSeverity.Corruption && (plan.IsExtensionOrdered || finding.Id is not ("VHD-FOOTER-END-MISSING" or "VHD-FOOTER-CHECKSUM")))
            {
                throw new SimulationFailure($"the check finds {finding.Id}: {finding.Message}");
            }
        }

        return content;
    }

    /// <summary>Judges every sector by what a cut may leave.</summary>
    public static void JudgeContent(byte[] content, string who, SectorOracle oracle)
    {
        for (var sector = 0; sector < oracle.SectorCount; sector++)
        {
            var bytes = content.AsSpan(sector * SectorOracle.SectorSize, SectorOracle.SectorSize);
            if (!oracle.IsAdmissible(sector, bytes))
            {
                throw new SimulationFailure($"to {who}, sector {sector} holds {Pattern.Describe(bytes)}; it may hold {oracle.Describe(sector)}");
            }
        }
    }

    private static byte[] Judge(CutReader reader, string who, SectorOracle oracle, byte[]? parent, SimulationPlan plan)
    {
        var content = reader.Read(parent, honoursBitmaps: true);
        JudgeContent(content, $"a reader that trusts the {who}", oracle);
        if (plan.AreBitmapsFull && !content.AsSpan().SequenceEqual(reader.Read(parent, honoursBitmaps: false)))
        {
            throw new SimulationFailure($"readers that trust the {who} and honour bitmaps see another disk than those that do not");
        }

        return content;
    }

    private static T AtOnce<T>(Task<T> task) =>
        task.IsCompleted ? task.GetAwaiter().GetResult() : throw new SimulationFailure("a world after a cut, in memory, kept its reader waiting");

    private static async ValueTask<byte[]> ReadAsync(CrashWorld world)
    {
        try
        {
            await using var disk = await VirtualDisk.OpenAsync(SimulationPlan.Leaf, new ImageOpenOptions(), world);
            using var buffer = new NativeBuffer((int)disk.Length);
            var status = await disk.Device.ReadAsync(0, buffer.Buffers);
            return status == BlockStatus.Ok ? buffer.Span.ToArray() : throw new SimulationFailure($"reading the whole disk answers {status}");
        }
        catch (ImageException exception)
        {
            throw new SimulationFailure($"the library does not open the image: {exception.Message}");
        }
    }
}
