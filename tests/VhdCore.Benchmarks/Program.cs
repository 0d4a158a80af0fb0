using BenchmarkDotNet.Running;

namespace VhdCore.Benchmarks;

/// <summary>The programs that peers.sh runs beside others; anything else goes to BenchmarkDotNet.</summary>
internal static class Program
{
    private const string Usage =
        """
        Usage: VhdCore.Benchmarks PROGRAM ...

          image FILE SIZE half|full           a raw image of random data, the same every time
          copier SOURCE TARGET                copies the data of a sparse file by two threads: the limit of any conversion
          allocating-writes IMAGE COUNT       COUNT writes of 4 KiB, each to another block, then one flush
          overlay PARENT CHILD SHARE          a child that holds one in SHARE of the parent's 64 KiB chunks again
          random-reads RAW DEPTH SECONDS IMAGE...  hot 4 KiB reads of images, each beside RandomAccess.Read of the raw file
          synthetic-storage FOLDER SECONDS    what the synthetic SCSI controller costs a request; an image of 64 MiB in FOLDER
          direct-reads RAW DEPTH SECONDS IMAGE...  the same past the page cache, through each engine; RAW is read by so many threads
          direct-read IMAGE DEPTH SECONDS     random 4 KiB reads past the page cache through a ring; prints rate=X
          open IMAGE TIMES                    opens an image for writing so many times; prints best=SECONDS worst=SECONDS
          anything else                       BenchmarkDotNet's own arguments, such as --list flat or --filter '*Crc*'

        """;

    private static async Task<int> Main(string[] args)
    {
        switch (args)
        {
            case ["--version"]:
                Console.WriteLine(typeof(Program).Assembly.GetName().Version);
                return 0;

            case ["image", var path, var size, "half" or "full"]:
                Programs.RandomImage.Make(path, Primitives.ByteSize.TryParse(size, out var bytes) ? bytes : throw new ArgumentException(size), args[3] == "full");
                return 0;

            case ["copier", var source, var target]:
                return Programs.Copier.Run(source, target);

            case ["allocating-writes", var image, var count]:
                return await Programs.AllocatingWrites.RunAsync(image, int.Parse(count));

            case ["overlay", var parent, var child, var share]:
                return await Programs.Overlay.MakeAsync(parent, child, int.Parse(share));

            case ["random-reads", var raw, var depth, var seconds, .. var images]:
                return await Programs.RandomReads.RunAsync(raw, int.Parse(depth), double.Parse(seconds), images);

            case ["synthetic-storage", var folder, var seconds]:
                return await Programs.SyntheticStorage.RunAsync(folder, double.Parse(seconds));

            case ["direct-reads", var raw, var depth, var seconds, .. var images]:
                return await Programs.DirectReads.RunAsync(raw, int.Parse(depth), double.Parse(seconds), images);

            case ["direct-read", var image, var depth, var seconds]:
                return await Programs.DirectReads.RunOneAsync(image, int.Parse(depth), double.Parse(seconds));

            case ["open", var image, var times]:
                return await Programs.OpenForWriting.RunAsync(image, int.Parse(times));

            case []:
                Console.Write(Usage);
                return 2;

            default:
                BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
                return 0;
        }
    }
}
