using System.Globalization;
using System.Text;

namespace MiniHypervisor;

/// <summary>What the machine's disks have done, in lines.</summary>
internal static class Report
{
    public static string Describe(Machine machine)
    {
        var statistics = machine.Statistics;
        var (hypercalls, interrupts) = machine.Counts;
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"{statistics.CompletionCount} answers with {statistics.SignalCount} signals on {statistics.OpenChannels} channels; {hypercalls} hypercalls, {interrupts} interrupts");
        foreach (var (lun, disk, saved) in statistics.Units)
        {
            text.AppendLine();
            text.Append(
                CultureInfo.InvariantCulture,
                $"unit {lun}: {disk.ReadCount} reads of {disk.BytesRead} bytes, {disk.WriteCount} writes of {disk.BytesWritten}, {disk.FlushCount} flushes, {disk.TrimCount} trims, "
                + $"{disk.OtherCount} others, {disk.ErrorCount} errors; {disk.MeanLatency.TotalMicroseconds:F0} us in the mean, {disk.MaxLatency.TotalMicroseconds:F0} us at most; {saved} signals saved");
        }

        return text.ToString();
    }
}
