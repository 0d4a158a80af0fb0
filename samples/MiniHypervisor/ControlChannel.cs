using System.Globalization;

namespace MiniHypervisor;

/// <summary>Commands for the machine while it runs, one a line, from a named pipe. Answers go to standard error.</summary>
internal static class ControlChannel
{
    /// <summary>Reads for as long as the process lives.</summary>
    public static void Start(string path, Machine machine)
    {
        var thread = new Thread(() => Read(path, machine)) { IsBackground = true, Name = "control" };
        thread.Start();
    }

    private static void Read(string path, Machine machine)
    {
        while (!machine.Ended.IsCompleted)
        {
            using var pipe = new StreamReader(path); // waits for somebody to write
            while (pipe.ReadLine() is { } line)
            {
                try
                {
                    Console.Error.WriteLine($"control: {line}: {Execute(machine, line).GetAwaiter().GetResult()}");
                }
                catch (Exception error)
                {
                    Console.Error.WriteLine($"control: {line}: {error.Message}");
                }
            }
        }
    }

    private static async Task<string> Execute(Machine machine, string line)
    {
        switch (line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            case ["add", var disk]:
                return $"unit {await machine.AddDiskAsync(disk)}";

            case ["remove", var lun]:
                await machine.RemoveDiskAsync(Number(lun));
                return "removed";

            case ["resize", var lun, var size]:
                machine.Disk(Number(lun)).Resize(Sizes.Parse(size));
                return $"{machine.Disk(Number(lun)).Length} bytes";

            case ["fail", var lun, var offset, var length]:
                machine.Disk(Number(lun)).Break(Sizes.Parse(offset), Sizes.Parse(length));
                return "broken";

            case ["heal", var lun]:
                machine.Disk(Number(lun)).Break(0, 0);
                return "healed";

            case ["stats"]:
                return Report.Describe(machine);

            case ["quit"]:
                machine.End("switched off from outside.");
                return "ending";

            default:
                return "not known: add DISK, remove LUN, resize LUN SIZE, fail LUN OFFSET LENGTH, heal LUN, stats, quit";
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
