using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>
/// Opens a case for writing: closed without a write, the content is what it was; after some, it differs in those writes alone, the parents not at all, and the
/// check finds nothing corrupt that it did not find before.
/// </summary>
internal static class WriterOracle
{
    private const long MaxLength = 2L << 20; // bytes of disk
    private const long MaxGrowth = 64L << 20; // bytes; a block that the file's end cut off may be filled up

    /// <exception cref="OracleException">The library broke its word.</exception>
    public static async Task JudgeAsync(FuzzCase fuzzCase, FuzzVariant variant)
    {
        var before = Content(fuzzCase.Leaf, fuzzCase.Files);
        if (before is null)
        {
            return;
        }

        var resolver = Oracle.Resolver(fuzzCase, variant);
        if (await OpenAsync(fuzzCase, resolver) is not { } untouched)
        {
            return;
        }

        if (!await CloseAsync(untouched))
        {
            return;
        }

        await RequireContentAsync(fuzzCase, resolver, before, "opening for writing and closing");

        var corruptions = await Descriptions.CorruptionsAsync("/" + fuzzCase.Leaf, resolver);
        var random = new Random(fuzzCase.Files[fuzzCase.Leaf].Length);
        for (var session = 0; session < 2; session++)
        {
            if (await OpenAsync(fuzzCase, resolver) is not { } disk)
            {
                throw new OracleException("What could be opened for writing cannot be opened again.");
            }

            var done = await ScribbleAsync(disk, before, random);
            if (!await CloseAsync(disk))
            {
                return; // a medium that cannot grow was full, say: nothing is promised of what was not flushed
            }

            await RequireContentAsync(fuzzCase, resolver, before, done);
        }

        if ((await Descriptions.CorruptionsAsync("/" + fuzzCase.Leaf, resolver)).Except(corruptions).FirstOrDefault() is { } news)
        {
            throw new OracleException($"After writing, the check finds {news}, which it did not before.");
        }
    }

    /// <summary>A few writes, zeros and flushes, on the disk and on its expected content alike.</summary>
    private static async Task<string> ScribbleAsync(VirtualDisk disk, byte[] expected, Random random)
    {
        var done = new List<string>();
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            var unit = random.Next(3) switch { 0 => 1, 1 => 512, _ => 4096 };
            var offset = random.Next(expected.Length) / unit * unit;
            var bytes = new byte[Math.Min(expected.Length - offset, random.Next(1, 4) * (unit == 1 ? 700 : unit))];
            var isZero = random.Next(4) == 0;
            if (!isZero)
            {
                random.NextBytes(bytes);
            }

            var status = isZero ? await disk.Device.ZeroAsync(offset, bytes.Length) : await disk.Device.WriteBytesAsync(offset, bytes);
            done.Add($"{(isZero ? "zeroing" : "writing")} {bytes.Length} bytes at {offset}: {status}");
            if (status == BlockStatus.Ok)
            {
                bytes.CopyTo(expected, offset);
            }
            else
            {
                // What was written of it is not told: take what the disk has now.
                (await disk.Device.ReadBytesAsync(offset, bytes.Length)).CopyTo(expected, offset);
            }

            if (random.Next(4) == 0)
            {
                await disk.Device.FlushAsync();
            }
        }

        return string.Join(", ", done);
    }

    private static async Task<VirtualDisk?> OpenAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver)
    {
        try
        {
            return await VirtualDisk.OpenAsync("/" + fuzzCase.Leaf, new ImageOpenOptions { Writable = true, OnWarning = _ => { } }, resolver);
        }
        catch (ImageException)
        {
            return null;
        }
        catch (Exception exception)
        {
            throw new OracleException($"{exception.GetType().Name} came out of opening for writing.", exception);
        }
    }

    /// <summary>Whether everything that was written is durable.</summary>
    private static async Task<bool> CloseAsync(VirtualDisk disk)
    {
        try
        {
            await disk.FlushAsync();
            await disk.DisposeAsync();
            return true;
        }
        catch (ImageException)
        {
            return false;
        }
        catch (Exception exception)
        {
            throw new OracleException($"{exception.GetType().Name} came out of closing.", exception);
        }
    }

    private static async Task RequireContentAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver, byte[] expected, string doing)
    {
        if (!await HasGrownInBoundsAsync(fuzzCase, resolver, doing))
        {
            return; // too long to look at, and rightly so
        }

        var files = fuzzCase.Files.Keys.ToDictionary(name => name, name => resolver.GetBytes("/" + name));
        foreach (var name in files.Keys)
        {
            if (name != fuzzCase.Leaf && !files[name].AsSpan().SequenceEqual(fuzzCase.Files[name]))
            {
                throw new OracleException($"The parent {name} was changed by {doing}.");
            }
        }

        var content = Content(fuzzCase.Leaf, files) ?? throw new OracleException($"After {doing}, the independent reader cannot read the disk.");
        if (!content.AsSpan().SequenceEqual(expected))
        {
            var at = content.AsSpan().CommonPrefixLength(expected);
            throw new OracleException($"After {doing}, byte {at} of the disk is not what it should be.");
        }
    }

    /// <summary>Whether the leaf's file is short enough to be looked at; longer than its blocks' size gives reason for, it may not be.</summary>
    private static async Task<bool> HasGrownInBoundsAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver, string doing)
    {
        await using var storage = await resolver.OpenAsync("/" + fuzzCase.Leaf, StorageOpenOptions.ForReading);
        var growth = storage.Length - fuzzCase.Files[fuzzCase.Leaf].Length;
        var readers = Oracle.PlainReaders(fuzzCase, ignoresChecksums: true);
        var blockSize = readers.Max(reader => reader.Images[0].BlockSize);
        readers.ForEach(reader => reader.Dispose());
        return growth <= MaxGrowth + (10 * blockSize)
            ? growth <= MaxGrowth
            : throw new OracleException($"{doing} made a file of {fuzzCase.Files[fuzzCase.Leaf].Length} bytes {storage.Length} long.");
    }

    /// <summary>The whole content, when both of the independent reader's ways to look at the case agree on it.</summary>
    private static byte[]? Content(string leaf, IReadOnlyDictionary<string, byte[]> files)
    {
        var readers = Oracle.PlainReaders(new FuzzCase("", leaf, files));
        byte[]? content = null;
        try
        {
            foreach (var reader in readers)
            {
                if (reader.Length > MaxLength)
                {
                    return null;
                }

                var read = reader.ReadAll();
                if (content is not null && !read.AsSpan().SequenceEqual(content))
                {
                    return null;
                }

                content = read;
            }
        }
        catch (PlainFormatException)
        {
            return null;
        }
        finally
        {
            readers.ForEach(reader => reader.Dispose());
        }

        return content;
    }
}
