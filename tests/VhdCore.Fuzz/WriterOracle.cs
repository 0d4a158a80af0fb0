using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>
/// Opens a case for writing: closed without a write, the content is what it was; after one write, the content differs in that write alone, and the parents
/// not at all.
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

        await CloseAsync(untouched);
        await RequireContentAsync(fuzzCase, resolver, before, "opening for writing and closing");

        if (await OpenAsync(fuzzCase, resolver) is not { } disk)
        {
            throw new OracleException("What could be opened for writing cannot be opened again.");
        }

        var random = new Random(fuzzCase.Files[fuzzCase.Leaf].Length);
        var offset = random.Next(before.Length);
        var bytes = new byte[Math.Min(before.Length - offset, random.Next(1, 3000))];
        random.NextBytes(bytes);
        var status = await disk.Device.WriteBytesAsync(offset, bytes);
        await CloseAsync(disk);
        if (status == BlockStatus.Ok)
        {
            bytes.CopyTo(before, offset);
            await RequireContentAsync(fuzzCase, resolver, before, $"writing {bytes.Length} bytes at {offset}");
        }
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

    private static async Task CloseAsync(VirtualDisk disk)
    {
        try
        {
            await disk.FlushAsync();
            await disk.DisposeAsync();
        }
        catch (ImageException)
        {
            // Refused for a reason; what was read before must still be there.
        }
        catch (Exception exception)
        {
            throw new OracleException($"{exception.GetType().Name} came out of closing.", exception);
        }
    }

    private static async Task RequireContentAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver, byte[] expected, string doing)
    {
        await using (var storage = await resolver.OpenAsync("/" + fuzzCase.Leaf, StorageOpenOptions.ForReading))
        {
            if (storage.Length > fuzzCase.Files[fuzzCase.Leaf].Length + MaxGrowth)
            {
                throw new OracleException($"{doing} made a file of {fuzzCase.Files[fuzzCase.Leaf].Length} bytes {storage.Length} long.");
            }
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
